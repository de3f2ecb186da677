"""Tests of the kernels of networks, and of the variables that L2 applies to."""

from uncertainty_distill import losses, models, trained

import numpy as np
import plain_networks
import pytest
import tf_keras


def test_plain_networks_and_batch_ensembles_go_together():
  plain = plain_networks.nested()
  model = models.batch_ensemble(plain, 2, rank=2)
  pairs = list(zip(models.kernels(plain), models.kernels(model), strict=True))
  assert {own.name for own, _ in pairs} == {
    'grouped',
    'of_channels',
    'separable_depthwise',
    'separable_pointwise',
    'shared',
    'depthwise',
    'dense',
    'sequence',
    'logits',
  }
  for own, other in pairs:
    assert own.name == other.name
    assert own.shape == other.shape
    assert own.groups == other.groups
    assert own.variable.shape == other.variable.shape
    *_, channels, filters = own.shape
    assert other.alpha.shape == (2, 2, channels * own.groups)
    assert other.gamma.shape == (2, 2, filters)
    assert own.alpha is None and own.gamma is None
    assert (own.bias is None) == (other.bias is None)
    if own.bias is not None:
      assert other.bias.shape == (2, *own.bias.shape)
  shapes = {own.name: own.shape for own, _ in pairs}
  assert shapes['depthwise'] == (3, 3, 1, 8)
  assert shapes['of_channels'] == (3, 3, 1, 16)


@pytest.mark.parametrize('rank', [1, 2])
def test_weights_of_all_kinds_of_layers_are_tied(rank):
  plain = plain_networks.nested()
  model = models.batch_ensemble(plain, 2, rank=rank, keep_weights=False)
  plain_networks.randomize(model)
  members = [models.member(model, index) for index in range(2)]
  tied = trained.pair_weights(model, members)
  own = float(losses.weight_tie(tied))
  norm = sum(
    np.sum(np.square(kernel.numpy()))
    for member in members
    for kernel in models.kernels(member)
  )
  assert own < 1e-9 * norm
  # With teachers half as large, each kernel differs by half of itself.
  for member in members:
    member.set_weights([w / 2 for w in member.get_weights()])
  assert float(losses.weight_tie(tied)) == pytest.approx(norm / 4, rel=1e-5)


@pytest.mark.parametrize('members', [1, 2])
def test_what_l2_applies_to(members):
  model = models.batch_ensemble(plain_networks.nested(), members)
  (group,) = models.WideResNet.__mro__[1]().l2_groups(model)
  found = [variable.ref() for variable in group]
  assert len(set(found)) == len(found)
  kernels = {k.name: k for k in models.kernels(model)}
  left = 'depthwise', 'separable_depthwise'
  for name, kernel in kernels.items():
    assert (kernel.variable.ref() in found) == (name not in left)
  (norm,) = [
    layer
    for layer in models.flat_layers(model)
    if isinstance(layer, tf_keras.layers.BatchNormalization)
  ]
  assert {norm.gamma.ref(), norm.beta.ref()} <= set(found)
  assert not set(found) & {v.ref() for v in models.fast_weights(model)}
