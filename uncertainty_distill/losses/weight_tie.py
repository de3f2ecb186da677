"""A penalty that ties a BatchEnsemble's weights to those of a deep ensemble.

Below, W0 is the shared kernel of a layer, R_e = sum_r alpha_{r,e} gamma_{r,e}^T
is the perturbation of student member e, over input and output channels, and W_e
is the kernel of teacher member e.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from uncertainty_distill import errors

import tensorflow as tf

# A fraction of the teacher's squared norm. Below it, the expanded square has
# lost two of float32's seven digits, so the squared distance is computed from
# differences instead.
_CANCELLED = 1e-2


class TiedLayer(NamedTuple):
  """A student's layer, and the kernels of the teacher's members.

  Attributes:
    kernel: W0 [..., Cin, Cout]. With g groups it is [..., Cin / g, Cout], and
      in a depthwise convolution [h, w, Cin, Cout / Cin].
    alpha: [E, Cin] or [k, E, Cin].
    gamma: [E, Cout] or [k, E, Cout].
    teacher_kernels: The E members' kernels W_e, which have W0's shape.
  """

  kernel: tf.Tensor | tf.Variable
  alpha: tf.Tensor | tf.Variable
  gamma: tf.Tensor | tf.Variable
  teacher_kernels: Sequence[tf.Tensor | tf.Variable]


def weight_tie(layers: Sequence[TiedLayer]) -> tf.Tensor:
  """Squared distance of the student's weights to the teacher's.

  loss = sum over layers and members e of ||W0 o R_e - W_e||^2, which appendix
  B.2 of Mariet et al. 2020, "Distilling Ensembles Improves Uncertainty
  Estimates", adds to the objective.

  The square is expanded. Since R_e is the same for all of a kernel's pixels,

    sum_e ||W0 o R_e||^2 = <sum over pixels of W0^2, sum_e R_e^2>,
    sum_e <W0 o R_e, W_e> = <W0, sum_e R_e o W_e>.

  So no member's weights are formed, and the gradient is that of two inner
  products. Where operations are not fused, this takes half as many passes over
  the weights as differences do. The error of the gradient is the same as with
  differences. The error of the value is not: it is 1e-7 of the teacher's
  squared norm. So where a student is closer to its teacher than a tenth of the
  teacher's norm, the value is computed from differences.

  Args:
    layers: The network's layers, in float32. No gradient flows into the
      teacher's kernels. They are cast to float32, since a teacher that computes
      in bfloat16 keeps its kernels in bfloat16.

  Returns:
    Float32 scalar.

  Raises:
    InputError: If a layer does not have one teacher kernel for each member, or
      if a teacher kernel does not have the shape of the layer's own kernel.
  """
  checked = [_checked(layer) for layer in layers]
  norm = tf.add_n([2 * tf.nn.l2_loss(w) for *_, ws in checked for w in ws])
  expanded = tf.add_n([_expanded(*layer) for layer in checked]) + norm
  value = tf.cond(
    expanded < _CANCELLED * norm,
    lambda: tf.add_n([_by_differences(*layer) for layer in checked]),
    lambda: expanded,
  )
  # This has the value of `value` and the gradient of `expanded`.
  return expanded + tf.stop_gradient(value - expanded)


def _checked(
  layer: TiedLayer,
) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
  """Checks a layer; returns W0, R [E, Cin, Cout] and a list of the W_e.

  W0 and the W_e are reshaped to [pixels, Cin, Cout].
  """
  kernel, alpha, gamma, targets = layer
  members = alpha.shape[-2]
  if len(targets) != members:
    raise errors.InputError(
      'weight_tie',
      f'{len(targets)} teacher kernels',
      f'one for each of the {members} members',
    )
  for target in targets:
    if target.shape != kernel.shape:
      raise errors.InputError(
        'weight_tie',
        f'a teacher kernel of {target.shape.as_list()}',
        f"the student's shape, {kernel.shape.as_list()}",
      )
  filters = gamma.shape[-1]
  depthwise = kernel.shape[-1] != filters
  matrices = [-1, 1 if depthwise else kernel.shape[-2], filters]
  return (
    tf.reshape(kernel, matrices),
    _perturbations(alpha, gamma, matrices[1]),
    [
      tf.reshape(tf.stop_gradient(tf.cast(w, kernel.dtype)), matrices)
      for w in targets
    ],
  )


def _perturbations(alpha, gamma, channels):
  """Returns R [E, Cin / groups, Cout]; `channels` is Cin / groups."""
  equation = 'ec,eo->eco' if alpha.shape.rank == 2 else 'kec,keo->eco'
  groups = alpha.shape[-1] // channels
  if groups == 1:
    return tf.einsum(equation, alpha, gamma)
  # Each output channel uses the alpha of its group's input channels.
  inner = [*alpha.shape[:-1], groups, channels]
  columns = tf.linalg.matrix_transpose(tf.reshape(alpha, inner))
  columns = tf.repeat(columns, gamma.shape[-1] // groups, axis=-1)
  product = columns * tf.expand_dims(gamma, -2)
  return product if alpha.shape.rank == 2 else tf.reduce_sum(product, 0)


def _expanded(kernel, perturbations, targets):
  """Returns the squared distance minus the squared norm of the targets."""
  squares = tf.reduce_sum(tf.square(kernel), axis=0)
  blend = tf.add_n([r * w for r, w in zip(tf.unstack(perturbations), targets)])
  return tf.reduce_sum(
    squares * tf.reduce_sum(tf.square(perturbations), axis=0)
  ) - 2 * tf.reduce_sum(kernel * blend)


def _by_differences(kernel, perturbations, targets):
  """Returns the squared distance, computed member by member."""
  return tf.add_n(
    [
      2 * tf.nn.l2_loss(kernel * r - w)
      for r, w in zip(tf.unstack(perturbations), targets)
    ]
  )
