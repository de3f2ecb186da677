"""How a BatchEnsemble layer applies its members' perturbations.

Member e's kernel is W o (sum_r alpha[r, e] gamma[r, e]^T). A layer can multiply
the kernel by alpha and gamma and apply one kernel a member (`weights`), or
multiply its inputs by alpha and its outputs by gamma around one application of
W (`activations`, as published). Both are the same function. Where memory is
slow and nothing fuses, as on a CPU, the side of the smaller tensors is the
cheaper one. On a TPU, XLA fuses the multiplications of activations into the
convolutions, so that they cost nothing.
"""

from __future__ import annotations

from uncertainty_distill.errors import InputError

import tensorflow as tf

SIDES = ('auto', 'weights', 'activations')


def check_side(perturb: str) -> str:
  """Returns the argument.

  Raises:
    InputError: If it is none of `SIDES`.
  """
  if perturb not in SIDES:
    raise InputError('perturb', perturb, f'one of {", ".join(SIDES)}')
  return perturb


def weights_may_be_cheaper(perturb: str) -> bool:
  """Tells whether to perturb weights, where the shapes speak for it.

  Args:
    perturb: One of `SIDES`; `auto` asks for the device that the current
      strategy computes on.
  """
  if perturb != 'auto':
    return perturb == 'weights'
  if not tf.distribute.has_strategy():  # TensorFlow takes a GPU if it can.
    return not tf.config.list_logical_devices('GPU')
  devices = tf.distribute.get_strategy().extended.worker_devices
  return tf.DeviceSpec.from_string(devices[0]).device_type == 'CPU'


def member_kernels(
  kernel: tf.Tensor, alpha: tf.Tensor, gamma: tf.Tensor
) -> tf.Tensor:
  """Returns every member's own kernel.

  Args:
    kernel: W, [..., C, F].
    alpha: [E, C], or [r, E, C] for perturbations of rank r.
    gamma: [E, F], or [r, E, F].

  Returns:
    [E, ..., C, F].
  """
  product = tf.expand_dims(alpha, -1) * tf.expand_dims(gamma, -2)
  if alpha.shape.rank == 3:
    product = tf.reduce_sum(product, 0)
  members, channels, filters = product.shape
  inner = [1] * (kernel.shape.rank - 2)
  product = tf.reshape(product, [members, *inner, channels, filters])
  return kernel * product


def one_kernel(
  kernel: tf.Tensor, alpha: tf.Tensor, gamma: tf.Tensor, member: int
) -> tf.Tensor:
  """Returns `member_kernels(...)[member]` and computes no other."""
  one = slice(member, member + 1)
  return member_kernels(kernel, alpha[..., one, :], gamma[..., one, :])[0]
