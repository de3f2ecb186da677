"""Tests of merging the members of a BatchEnsemble into one plain network."""

from uncertainty_distill import models

import numpy as np
import plain_networks
import pytest
import refusals
import tensorflow as tf
import tf_keras
import tiny_networks

_IMAGES = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)


def test_alpha_gamma_and_bias_are_averaged_by_hand():
  inputs = tf_keras.Input((2,))
  plain = tf_keras.Model(inputs, tf_keras.layers.Dense(1, name='d')(inputs))
  model = models.batch_ensemble(plain, 2)
  layer = model.get_layer('d')
  layer.kernel.assign([[2.0], [3.0]])
  layer.alpha.assign([[1.0, 2.0], [3.0, 4.0]])
  layer.gamma.assign([[1.0], [2.0]])
  layer.ensemble_bias.assign([[1.0], [3.0]])
  merged = models.merge_members(model)
  kernel, bias = merged.get_layer('d').get_weights()
  # The kernel is W * (2, 3) * 1.5, and the bias is (1 + 3) / 2.
  assert kernel.tolist() == [[6.0], [13.5]] and bias.tolist() == [2.0]


@pytest.mark.parametrize('rank', [1, 2])
def test_equal_members_lose_nothing_and_cost_that_of_one(rank):
  model = tiny_networks.build(4, rank=rank, fast_weights='ones')
  if rank > 1:  # All terms but the first have a random alpha.
    for layer in model.layers:
      if hasattr(layer, 'alpha'):
        layer.alpha.assign(
          tf.broadcast_to(layer.alpha[:, :1], layer.alpha.shape)
        )
  merged = models.merge_members(model)
  want = model(_IMAGES, training=False)
  plain_networks.assert_same(want, np.stack([merged(_IMAGES)] * 4))
  served = models.batch_ensemble(merged, 1)
  # With a higher rank, perturbed activations are convolved once for each term.
  cost, least = map(models.forward_flops, (model, served))
  assert cost == 4 * least if rank == 1 else cost > 4 * least
  assert served.count_params() < model.count_params()


def test_members_with_norms_of_their_own_are_refused():
  plain = tiny_networks.config().build_plain()
  model = models.batch_ensemble(plain, 2, norm='member')
  with refusals.refused('model'):
    models.merge_members(model)
  with refusals.refused('model'):
    models.merge_members(plain)
