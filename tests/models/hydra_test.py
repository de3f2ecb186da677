"""Tests of Hydra: several heads on one body."""

from uncertainty_distill import exporting, models

import numpy as np
import pytest
import refusals
import tensorflow as tf
import tf_keras
import tiny_networks
import tiny_runs

_IMAGES = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)


def test_each_head_reads_the_same_features():
  model = tiny_networks.build(4, ensemble_type='hydra')
  dense = model.get_layer('logits')
  assert dense.kernel.shape == (64, 4 * 5)
  features = tf_keras.Model(model.input, dense.input)(_IMAGES)
  kernels = np.split(dense.kernel.numpy(), 4, -1)
  logits = model(_IMAGES, training=False)
  assert logits.shape == (4, 3, 5) and logits.dtype == tf.float32
  for got, kernel in zip(logits, kernels):
    np.testing.assert_allclose(got, features @ kernel, atol=1e-4)
  assert np.abs(logits[0] - logits[1]).max() > 1e-3


def test_it_costs_about_one_network():
  config = tiny_networks.config(4, ensemble_type='hydra')
  single = models.forward_flops(tiny_networks.build(1))
  # A Hydra has three more heads of 64 * 5 weights, at two FLOPs a weight.
  more = 3 * 2 * 64 * 5
  assert models.forward_flops(config.build()) == single + more
  assert models.fast_weights(config.build()) == []
  groups = config.l2_groups(config.build())
  assert [len(group) for group in groups[-2:]] == [3, 1]


def test_a_saved_model_serves_all_heads(tmp_path):
  model = tiny_networks.build(2, ensemble_type='hydra')
  folder = exporting.export_saved_model(model, (16, 16, 3), str(tmp_path / 'm'))
  serve = tf.saved_model.load(folder).signatures['serving_default']
  got = serve(images=tf.constant(_IMAGES))['member_probabilities']
  want = tf.nn.softmax(model(_IMAGES, training=False))
  np.testing.assert_allclose(np.swapaxes(got, 0, 1), want, atol=1e-5)


@pytest.mark.parametrize(
  'override',
  [
    'task.model.rank=2',
    'task.model.norm=member',
    'task.fast_weight_decay=0.1',
    'task.initialize_from=[a,b,c,d]',
  ],
)
def test_what_only_a_batch_ensemble_has_is_refused(override):
  name = override.partition('=')[0]
  with refusals.refused(name):
    tiny_runs.config(f'task.model.ensemble_type=hydra,{override}')
