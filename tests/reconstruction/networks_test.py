"""Tests of aligned members, and of a student made from whole networks."""

from uncertainty_distill import models, reconstruction

import numpy as np
import pytest
import tf_keras
import tiny_networks
from refusals import refused

_IMAGES = np.random.default_rng(0).integers(0, 256, (8, 12, 12, 3), np.uint8)


def _network(seed=0, ensemble_size=1, width=2, depth=16, **options):
  """Returns a small network with random weights and moving statistics."""
  tf_keras.utils.set_random_seed(seed)
  model = tiny_networks.build(
    image_shape=(12, 12, 3),
    num_classes=5,
    depth=depth,
    width=width,
    mean=(0.5,) * 3,
    stddev=(0.25,) * 3,
    ensemble_size=ensemble_size,
    **options,
  )
  generator = np.random.default_rng(seed)
  model.set_weights(
    [
      w * generator.uniform(0.7, 1.3, w.shape)
      + 0.1 * np.abs(generator.normal(size=w.shape)) * (w.ndim == 1)
      for w in model.get_weights()
    ]
  )
  return model


def _logits(model):
  return model(_IMAGES, training=False).numpy()


def _likeness(weights, model):
  """Returns the sum of the products of trained weights with the model's."""
  trained = {v.ref() for v in model.trainable_variables}
  return sum(
    np.sum(w * v.numpy())
    for w, v in zip(weights, model.weights)
    if v.ref() in trained
  )


@pytest.mark.parametrize('depth, width', [(10, 1), (16, 2)])
def test_alignment_leaves_functions_as_they_are(depth, width):
  members = [_network(seed, depth=depth, width=width) for seed in range(3)]
  before = [_logits(member) for member in members]
  weights = [member.get_weights() for member in members]
  aligned = reconstruction.aligned_weights(members)
  for own, given in zip(weights[0], aligned[0]):
    np.testing.assert_array_equal(own, given)
  for member, own, moved, logits in zip(
    members[1:], weights[1:], aligned[1:], before[1:]
  ):
    assert _likeness(moved, members[0]) > _likeness(own, members[0]) + 1
    changed = [np.abs(a - b).max() > 0 for a, b in zip(own, moved)]
    # All weights but the dense layer's bias, which has the classes' order.
    assert sum(changed) == len(own) - 1
    member.set_weights(moved)
    np.testing.assert_allclose(_logits(member), logits, rtol=1e-4, atol=1e-4)
  assert np.ptp(before[0]) > 0.1


def test_alignment_finds_a_hidden_order():
  """Aligns a network in which all groups of channels were shuffled by hand."""
  first, other = _network(depth=10), _network(depth=10)
  generator = np.random.default_rng(0)
  layer = other.get_layer

  def shuffle(writers, norms, readers):
    order = generator.permutation(layer(writers[0]).kernel.shape[-1])
    for name in writers:
      kernel = layer(name).kernel
      kernel.assign(kernel.numpy()[..., order])
    for name in norms:
      for variable in layer(name).weights:
        variable.assign(variable.numpy()[order])
    for name in readers:
      kernel = layer(name).kernel
      kernel.assign(np.take(kernel.numpy(), order, kernel.shape.rank - 2))

  # The first block's two branches read the stem. At depth 10, each group has
  # one block, whose shortcut and second layer write one stream.
  blocks = [f'group{i}_block0' for i in range(3)]
  shuffle(
    ['stem'],
    [f'{blocks[0]}_a_norm'],
    [f'{blocks[0]}_a_conv', f'{blocks[0]}_shortcut'],
  )
  for block, after in zip(blocks, blocks[1:] + [None]):
    shuffle([f'{block}_a_conv'], [f'{block}_b_norm'], [f'{block}_b_conv'])
    readers = [f'{after}_a_conv', f'{after}_shortcut'] if after else ['logits']
    shuffle(
      [f'{block}_b_conv', f'{block}_shortcut'],
      [f'{after}_a_norm' if after else 'final_norm'],
      readers,
    )
  np.testing.assert_allclose(_logits(other), _logits(first), atol=1e-4)
  _, aligned = reconstruction.aligned_weights([first, other])
  for found, want in zip(aligned, first.get_weights()):
    np.testing.assert_array_equal(found, want)


def _errors(found, members):
  """Returns the relative error of each layer."""
  places = zip(*map(models.kernels, members))
  return [
    weights.error([k.numpy() for k in place])
    for (weights, _), place in zip(found.layers, places, strict=True)
  ]


def test_a_batch_ensemble_comes_back():
  """Turns the members of a BatchEnsemble back into a BatchEnsemble."""
  source = _network(1, ensemble_size=3)
  members = []
  for index in range(3):
    member = _network(2)
    for layer in member.layers:
      trained = source.get_layer(layer.name) if layer.weights else None
      if hasattr(trained, 'alpha'):
        scale = np.outer(trained.alpha[index], trained.gamma[index])
        layer.kernel.assign(trained.kernel.numpy() * scale)
        if layer.bias is not None:
          layer.bias.assign(trained.ensemble_bias[index])
      elif trained is not None:
        layer.set_weights(trained.get_weights())
    members.append(member)
  student = _network(3, ensemble_size=3)
  found = reconstruction.reconstruct_network(members, tolerance=1e-9)
  assert max(_errors(found, members)) < 1e-5
  reconstruction.initialize(student, found)
  np.testing.assert_allclose(
    _logits(student), _logits(source), rtol=1e-3, atol=1e-3
  )
  # The student computes the members' functions.
  np.testing.assert_allclose(
    _logits(student),
    np.concatenate([_logits(m) for m in members]),
    rtol=1e-3,
    atol=1e-3,
  )


def test_what_a_student_takes_over():
  members = [_network(seed) for seed in range(2)]
  found = reconstruction.reconstruct_network(members, 2, restarts=1, sweeps=5)
  student = _network(5, ensemble_size=2, rank=2)
  reconstruction.initialize(student, found)
  norms = [m.get_layer('group1_block0_b_norm') for m in members]
  for index, own in enumerate(
    student.get_layer('group1_block0_b_norm').get_weights()
  ):
    want = np.mean([n.get_weights()[index] for n in norms], axis=0)
    np.testing.assert_allclose(own, want, rtol=1e-6)
  np.testing.assert_allclose(
    student.get_layer('logits').ensemble_bias,
    [m.get_layer('logits').bias.numpy() for m in members],
  )
  # The layer went to its place, and its members are as near as reported.
  names = [layer.name for layer in models.kernels(student)]
  layer = student.get_layer(names[3])
  weights = reconstruction.Factors(
    *(v.numpy() for v in (layer.kernel, layer.alpha, layer.gamma))
  ).members()
  kernels = [m.get_layer(names[3]).kernel.numpy() for m in members]
  error = np.linalg.norm(np.subtract(weights, kernels)) / np.linalg.norm(
    kernels
  )
  assert error == pytest.approx(_errors(found, members)[3], rel=1e-4)
  assert 0.3 < error < 0.8


def test_aligned_members_are_easier_to_reconstruct():
  first, other = _network(0, depth=10), _network(1, depth=10)
  before = reconstruction.reconstruct_network([first, other])
  after = reconstruction.reconstruct_network([first, other], align=True)
  mean = np.mean(_errors(before, [first, other]))
  other.set_weights(reconstruction.aligned_weights([first, other])[1])
  assert np.mean(_errors(after, [first, other])) < mean - 0.01


def test_refuses():
  members = [_network(0, depth=10), _network(0, depth=10, width=1)]
  for call in (
    reconstruction.aligned_weights,
    reconstruction.reconstruct_network,
  ):
    with refused('members', expected='one architecture'):
      call(members)
  found = reconstruction.reconstruct_network(
    [_network(seed, width=1) for seed in range(2)], restarts=1, sweeps=1
  )
  for other in (
    {'ensemble_size': 3},
    {'ensemble_size': 2, 'rank': 2},
    {'ensemble_size': 1},
    {'ensemble_size': 2, 'width': 2},
    {'ensemble_size': 2, 'depth': 10},
    {'ensemble_size': 2, 'depth': 22},
  ):
    student = _network(0, **{'width': 1, **other})
    before = student.get_weights()
    with refused('student', student.name, 'architecture, members and rank'):
      reconstruction.initialize(student, found)
    for old, new in zip(before, student.get_weights()):
      np.testing.assert_array_equal(old, new)
