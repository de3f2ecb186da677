"""Tests of which variables are fast weights and which are regularized."""

from uncertainty_distill import models

import pytest
import tensorflow as tf
import tf_keras
import tiny_networks


def _model(depth, width, ensemble_size, rank=1):
  """Returns a network, and the L2 groups of its architecture."""
  config = tiny_networks.config(
    image_shape=(8, 8, 3),
    depth=depth,
    width=width,
    ensemble_size=ensemble_size,
    rank=rank,
  )
  model = config.build()
  return model, config.l2_groups(model)


def _num_layers(depth, width):
  """Returns the numbers of convolutions and of BatchNorm layers."""
  blocks = 3 * (depth - 4) // 6
  # At width 1, the stem already has the 16 channels of the first group.
  shortcuts = 2 if width == 1 else 3
  return 1 + 2 * blocks + shortcuts, 2 * blocks + 1


def _references(variables):
  references = {variable.ref() for variable in variables}
  assert len(references) == len(variables)  # No variable is listed twice.
  return references


@pytest.mark.parametrize(
  'depth, width, ensemble_size, rank',
  [(10, 1, 1, 1), (10, 1, 4, 1), (16, 2, 3, 2), (16, 2, 1, 1)],
)
def test_selects_by_layer(depth, width, ensemble_size, rank):
  model, groups = _model(depth, width, ensemble_size, rank)
  convolutions, norms = _num_layers(depth, width)
  fast = _references(models.fast_weights(model))
  regularized = _references(sum(groups, []))
  # The fast weights are alpha and gamma of each layer. The others are kernels,
  # biases, and BatchNorm's scales and offsets.
  dense = 1
  perturbed = convolutions + dense if ensemble_size > 1 else 0
  assert len(fast) == 2 * perturbed
  assert len(regularized) == convolutions + 2 * dense + 2 * norms
  assert not fast & regularized
  # Only the moving statistics are left.
  assert fast | regularized == _references(model.trainable_variables)
  moving = _references(model.non_trainable_variables)
  assert len(moving) == 2 * norms
  assert not moving & (fast | regularized)


def test_selects_what_is_meant():
  model, groups = _model(10, 1, 2, rank=3)
  stem, logits = model.get_layer('stem'), model.get_layer('logits')
  fast = _references(models.fast_weights(model))
  regularized = _references(sum(groups, []))
  assert {v.ref() for v in (stem.alpha, stem.gamma, logits.alpha)} <= fast
  wanted = stem.kernel, logits.kernel, logits.ensemble_bias
  assert {v.ref() for v in wanted} <= regularized
  assert stem.alpha.shape == (3, 2, 3) and stem.gamma.shape == (3, 2, 16)
  assert logits.ensemble_bias.shape == (2, 5)
  norm = model.get_layer('final_norm')
  # BatchNorm's scale is called gamma, too.
  assert {v.ref() for v in (norm.gamma, norm.beta)} <= regularized


@pytest.mark.parametrize(
  'depth, width, ensemble_size', [(10, 1, 4), (16, 2, 1), (22, 2, 2)]
)
def test_blocks_are_where_the_layers_are(depth, width, ensemble_size):
  model, groups = _model(depth, width, ensemble_size)
  blocks = [_references(group) for group in groups]
  assert len(blocks) == 6
  found = {}
  for layer in model.layers:
    for variable in layer.trainable_variables:
      if variable.ref() in set().union(*blocks):
        number = [variable.ref() in block for block in blocks].index(True)
        found.setdefault(number, set()).add(layer.name.split('_')[0])
  # These names come from the definition; the selection does not know them.
  assert found == {
    0: {'stem'},
    1: {'group0'},
    2: {'group1'},
    3: {'group2'},
    4: {'final', 'logits'},
    5: {'logits'},
  }
  n = (depth - 4) // 6
  # Each block has two convolutions and two BatchNorms; a group has a shortcut.
  sizes = [1, 6 * n + (width > 1), 6 * n + 1, 6 * n + 1, 3, 1]
  assert [len(block) for block in blocks] == sizes
  dense = model.get_layer('logits')
  assert dense.kernel.ref() in blocks[4]
  assert dense.kernel.ref() not in blocks[5]


def test_does_not_depend_on_names():
  names = iter('kernel alpha gamma group2_block0 final_norm stem'.split() * 9)
  counts = iter(range(99))

  def misname(layer):
    name = f'{next(names)}_{next(counts)}'
    return type(layer).from_config({**layer.get_config(), 'name': name})

  plain = models.WideResNet(depth=10, width=1).build((8, 8, 3), 2)
  plain = tf_keras.models.clone_model(plain, clone_function=misname)
  model = models.batch_ensemble(plain, 2)
  perturbed = [x for x in model.layers if hasattr(x, 'alpha')]
  assert _references(models.fast_weights(model)) == _references(
    [v for layer in perturbed for v in (layer.alpha, layer.gamma)]
  )
  blocks = models.WideResNet(depth=10, width=1).l2_groups(model)
  *_, norm, dense = (layer for layer in model.layers if layer.weights)
  assert _references(blocks[0]) == _references([perturbed[0].kernel])
  assert _references(blocks[4]) == _references(
    [norm.gamma, norm.beta, dense.kernel]
  )
  assert _references(blocks[5]) == _references([dense.ensemble_bias])


def test_finds_the_layers_of_every_member():
  networks = [_model(10, 1, 1)[0], _model(10, 1, 2)[0]]
  ensemble = models.DeepEnsemble(networks)
  ensemble(tf.zeros([2, 8, 8, 3], tf.uint8))
  parts = [v for model in networks for v in models.fast_weights(model)]
  assert _references(models.fast_weights(ensemble)) == _references(parts)
