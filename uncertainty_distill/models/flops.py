"""How much arithmetic a network takes."""

from __future__ import annotations

import math

from uncertainty_distill.models import variables

import tf_keras


def forward_flops(model: tf_keras.Model) -> int:
  """Returns the FLOPs of one image in one forward pass, of all members.

  Counted are the multiplications and additions of convolutions and dense
  layers, two a pair; all else in the network is small beside them.

  Args:
    model: As `build_model` returned it.
  """
  members = model.output_shape[0] or 1
  return members * sum(
    2 * math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape)
    for layer in variables.kernel_layers(model)
  )
