"""Tests of whole runs that start from networks trained one by one."""

import os
import shutil

from uncertainty_distill import (
  configs,
  data,
  models,
  reconstruction,
  runs,
  trained,
  training,
)

import experiments
import numpy as np
import pytest
import running
import tensorflow as tf
import tf_keras
from refusals import refused

# The runs are eager: three steps take less time than their compilation.
_TEXT = running.EAGER + (
  'trainer.train_steps=3,trainer.steps_per_loop=1,'
  'trainer.checkpoint_interval=1,trainer.max_to_keep=5,'
  'task.train_data.num_examples=128,task.train_data.global_batch_size=32,'
  'task.model.ensemble_size=2,task.model.sync_batch_norm=true,'
  'task.objective.kind=cross_entropy'
)
_IMAGES = data.open_dataset('digits').test.images[:16]


def _member(config, index, path):
  """Claims a network's run folder; returns its model, not saved yet."""
  member = training.resolve(configs.member_config(config, index))
  runs.claim_run(path, member)
  tf_keras.utils.set_random_seed(member.task.seed)
  model = member.task.model.build()
  # Gives the network moving statistics of its own.
  model(data.open_dataset('digits').train.images[:64], training=True)
  return model


def _save(model, path):
  tf.train.CheckpointManager(
    tf.train.Checkpoint(model=model), path, max_to_keep=1
  ).save(checkpoint_number=3)


def _resolved(networks, text=''):
  config = configs.load_config(
    'digits_wrn10_1',
    params_override=(
      f'{_TEXT},task.initialize_from=[{",".join(networks)}],{text}'
    ),
  )
  return training.resolve(config)


@pytest.fixture(scope='module', name='networks')
def fixture_networks(tmp_path_factory):
  """Run folders of two networks."""
  config = configs.load_config('digits_wrn10_1', params_override=_TEXT)
  paths = [str(tmp_path_factory.mktemp('network')) for _ in range(2)]
  for index, path in enumerate(paths):
    _save(_member(config, index, path), path)
  return tuple(paths)


@pytest.fixture(scope='module', name='whole')
def fixture_whole(networks, one_device, tmp_path_factory):
  """A run that starts from the networks, on one device."""
  path = str(tmp_path_factory.mktemp('whole'))
  return experiments.train_run(_resolved(networks), path, one_device, False)


def _started(config):
  """Returns the model that training starts from, and the drawn weights."""
  tf_keras.utils.set_random_seed(config.task.seed)
  task = experiments.task(config)
  model = task.build_model()
  drawn = model.get_weights()
  task.initialize(model)
  return model, drawn


def _batch_norms(model):
  kind = tf_keras.layers.BatchNormalization
  return [layer for layer in model.layers if isinstance(layer, kind)]


# The stem's matrices have rank 3 at most.
@pytest.mark.parametrize('rank, aligned', [(1, False), (4, True)])
def test_members_begin_as_those_of_the_reconstruction(rank, aligned, networks):
  config = _resolved(
    networks, f'task.model.rank={rank},task.initialize_aligned={aligned}'
  )
  model, drawn = _started(config)
  members = trained.open_trained(networks, 'networks').networks()
  found = reconstruction.reconstruct_network(
    members, rank, align=aligned, ridge=0.1
  )
  # One plain network for each member, with the kernels of the reconstruction.
  logits = []
  for index, member in enumerate(members):
    for layer, (weights, bias) in zip(models.kernels(member), found.layers):
      layer.variable.assign(weights.members()[index])
      if bias is not None:
        layer.bias.assign(bias[index])
    for layer, values in zip(_batch_norms(member), found.norms):
      layer.set_weights(values)
    logits.append(member(_IMAGES, training=False)[0])
  np.testing.assert_allclose(
    model(_IMAGES, training=False), logits, rtol=1e-3, atol=1e-3
  )
  assert np.ptp(logits) > 1
  # The seed draws the same weights as for a plain model.
  tf_keras.utils.set_random_seed(config.task.seed)
  plain = config.task.model.build()
  for one, two in zip(drawn, plain.get_weights()):
    np.testing.assert_array_equal(one, two)


def test_alignment_matters_and_the_seed_does_not(networks):
  one, other, aligned = (
    _started(_resolved(networks, text))[0].get_weights()
    for text in ('', 'task.seed=5', 'task.initialize_aligned=true')
  )
  for weight, expected in zip(one, other):
    np.testing.assert_array_equal(weight, expected)
  assert max(np.abs(a - b).max() for a, b in zip(one, aligned)) > 0.01


def test_members_of_a_batch_ensemble_come_back(tmp_path):
  config = configs.load_config('digits_wrn10_1', params_override=_TEXT)
  paths = [str(tmp_path / name) for name in 'ab']
  members = [_member(config, i, path) for i, path in enumerate(paths)]
  source = training.resolve(config).task.model.build()
  for index, (member, path) in enumerate(zip(members, paths)):
    for plain, layer in zip(*map(models.kernels, (member, source))):
      plain.variable.assign(
        layer.variable * tf.tensordot(layer.alpha[index], layer.gamma[index], 0)
      )
    for norm, first in zip(_batch_norms(member), _batch_norms(members[0])):
      norm.set_weights(first.get_weights())
    _save(member, path)
  model, _ = _started(_resolved(paths))
  want = [member(_IMAGES, training=False)[0] for member in members]
  np.testing.assert_allclose(
    model(_IMAGES, training=False), want, rtol=1e-4, atol=1e-4
  )
  assert np.abs(want[0] - want[1]).max() > 0.1


def test_a_run_and_its_replicas_begin_with_the_networks(
  networks, whole, replicas
):
  config = _resolved(networks)
  begun, _ = _started(config)
  with replicas.scope():
    mirrored, _ = _started(config)
  # The first step of a warm-up has rate 0, so it leaves the weights unchanged.
  model = config.task.model.build()
  tf.train.Checkpoint(model=model).restore(
    os.path.join(whole.path, 'ckpt-1')
  ).expect_partial()
  for weight, trained_weight, expected in zip(
    mirrored.trainable_variables,
    model.trainable_variables,
    begun.trainable_variables,
  ):
    values = replicas.experimental_local_results(weight)
    assert len(values) == 2
    for value in *values, trained_weight:
      np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-7)


def test_a_stopped_run_goes_on_without_beginning_anew(
  networks, whole, one_device, tmp_path, monkeypatch, interrupted_after
):
  config = _resolved(networks)
  path = str(tmp_path / 'stopped')
  with interrupted_after(2), pytest.raises(KeyboardInterrupt):
    experiments.train_run(config, path, one_device, False)
  assert runs.open_run(path, '--run').step == 2
  monkeypatch.setattr(reconstruction, 'reconstruct_network', None)
  resumed = experiments.train_run(config, path, one_device, False)
  assert resumed.is_complete
  for weight, expected in zip(
    resumed.load_model().get_weights(), whole.load_model().get_weights()
  ):
    np.testing.assert_array_equal(weight, expected)


def test_a_complete_run_needs_its_networks_no_more(networks, tmp_path):
  moved = [shutil.copytree(path, tmp_path / path[1:]) for path in networks]
  config = _resolved([str(path) for path in moved])
  strategy = tf.distribute.OneDeviceStrategy('CPU:0')
  path = str(tmp_path / 'run')
  complete = experiments.train(config, path, strategy)
  for folder in moved:
    shutil.rmtree(folder)
  assert experiments.train(config, path, strategy).step == complete.step
  config.task.seed += 1
  with refused('task.initialize_from'):
    experiments.train(config, str(tmp_path / 'other'), strategy)
