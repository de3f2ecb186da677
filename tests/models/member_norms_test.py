"""Tests of Wide ResNets whose members have BatchNorms of their own."""

from uncertainty_distill import configs, exporting
from uncertainty_distill.models import variables

import numpy as np
import pytest
import refusals
import tensorflow as tf
import tf_keras
import tiny_networks
import tiny_runs

_IMAGES = np.random.default_rng(0).integers(0, 256, (9, 16, 16, 3), np.uint8)


@pytest.fixture(name='model', scope='module')
def fixture_model():
  """A WRN-10-1 of 3 members whose statistics differ."""
  tf_keras.utils.set_random_seed(0)
  model = tiny_networks.build(3, norm='member')
  for _ in range(3):
    model(_IMAGES, training=True)
  return model


def test_a_saved_model_serves_the_same(model, tmp_path):
  folder = exporting.export_saved_model(model, (16, 16, 3), str(tmp_path / 'm'))
  serve = tf.saved_model.load(folder).signatures['serving_default']
  got = serve(images=tf.constant(_IMAGES))['member_probabilities']
  want = tf.nn.softmax(model(_IMAGES, training=False))
  np.testing.assert_allclose(np.swapaxes(got, 0, 1), want, atol=1e-5)


def test_l2_has_the_norms_of_all_members_in_their_groups(model):
  config = tiny_networks.config(3)
  shared = config.build()
  own, of_shared = config.l2_groups(model), config.l2_groups(shared)
  assert sum(map(variables.is_batch_norm, model.layers)) == 7
  for group, other in zip(own, of_shared, strict=True):
    kernels = [v for v in other if len(v.shape) > 1]
    norms = len(other) - len(kernels)
    assert len(group) == len(kernels) + 3 * norms


def test_networks_to_start_from_are_refused():
  with refusals.refused('task.model.norm', 'member', 'shared'):
    tiny_runs.config('task.model.norm=member,task.initialize_from=[a,b,c,d]')


def test_shared_norms_leave_no_mark_in_the_network_of_a_cache():
  assert 'norm' not in configs.ModelConfig().as_dict()
  config = tiny_networks.config(2, norm='member')
  assert config.as_dict()['norm'] == 'member'
