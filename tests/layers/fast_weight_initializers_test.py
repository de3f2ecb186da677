"""Tests of the initial values of alpha and gamma."""

from uncertainty_distill import layers, models

import numpy as np
import pytest
import tf_keras
import tiny_networks
from refusals import refused


def _fast(kind, rank=1, stddev=0.5):
  tf_keras.utils.set_random_seed(0)
  model = tiny_networks.build(
    4, rank=rank, fast_weights=kind, fast_weight_stddev=stddev
  )
  return [variable.numpy() for variable in models.fast_weights(model)]


def _values(arrays):
  return np.concatenate([array.ravel() for array in arrays])


@pytest.mark.parametrize('rank', [1, 2])
def test_signs_are_drawn_for_each_layer(rank):
  fast = _fast('signs', rank)
  values = _values(fast)
  assert set(values) == {-1.0, 1.0}
  assert abs(values.mean()) < 4 / np.sqrt(len(values))
  # Vectors of one width differ, within a layer and between layers.
  wide = [v for v in fast if v.shape[-1] == 64]
  assert len(wide) > 2
  for one, other in zip(wide, wide[1:]):
    assert (one != other).any()


def test_signs_of_the_first_layer_alone():
  alpha, gamma, *others = _fast('first_layer_signs')
  assert alpha.shape == (4, 3)
  assert set(alpha.ravel()) == set(gamma.ravel()) == {-1.0, 1.0}
  assert set(_values(others)) == {1.0}


def test_ones_of_rank_one():
  assert set(_values(_fast('ones'))) == {1.0}


@pytest.mark.parametrize('kind', ['ones', 'first_layer_signs'])
def test_further_ranks_begin_without_effect(kind):
  alpha, gamma = _fast(kind, rank=3)[-2:]
  assert alpha.shape == (3, 4, 64) and gamma.shape == (3, 4, 5)
  np.testing.assert_array_equal(
    np.einsum('rec,ref->ecf', alpha, gamma), np.ones([4, 64, 5])
  )
  # Equal terms would be trained alike.
  assert (alpha[1] != alpha[2]).any()


def test_the_default_draws_as_before():
  tf_keras.utils.set_random_seed(0)
  unset = tiny_networks.build(4)
  np.testing.assert_array_equal(
    _values([v.numpy() for v in models.fast_weights(unset)]),
    _values(_fast('normal')),
  )


def test_batch_ensemble_has_the_same_default():
  tf_keras.utils.set_random_seed(0)
  plain = models.WideResNet(depth=10, width=1).build((16, 16, 3), 5)
  converted = models.batch_ensemble(plain, 8)
  values = _values([v.numpy() for v in models.fast_weights(converted)])
  assert values.mean() == pytest.approx(1.0, abs=0.03)
  assert values.std() == pytest.approx(0.5, abs=0.02)


# Past the first layer, first_layer_signs are ones.
@pytest.mark.parametrize('kind', ['normal', 'signs', 'ones'])
@pytest.mark.parametrize('rank', [1, 2])
def test_layers_keep_them_in_their_configuration(kind, rank):
  found = layers.fast_weight_initializers(kind, rank, 0.25, is_first=False)
  layer = layers.DenseBatchEnsemble(3, ensemble_size=2, rank=rank, **found)
  twin = layers.DenseBatchEnsemble.from_config(layer.get_config())
  assert twin.get_config() == layer.get_config()
  for name in found:
    assert type(getattr(twin, name)) is type(found[name])


def test_refuses_what_is_unknown():
  plain = models.WideResNet(depth=10, width=1).build((16, 16, 3), 5)
  with refused('fast_weights', 'zeros', 'one of normal, signs'):
    models.batch_ensemble(plain, 2, fast_weights='zeros')


def test_a_configuration_shows_it_where_it_is_set():
  config = tiny_networks.config(4)
  assert 'fast_weights' not in config.as_dict()
  assert (
    tiny_networks.config(4, fast_weights='signs').as_dict()['fast_weights']
    == 'signs'
  )
