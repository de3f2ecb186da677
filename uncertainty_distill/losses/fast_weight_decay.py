"""A penalty that draws the members of a BatchEnsemble towards one network."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf


def distance_to_ones(
  fast_weights: Sequence[tf.Tensor], ensemble_size: int
) -> tf.Tensor:
  """Squared distance of alpha and gamma to ones, averaged over the members.

  1/E sum over layers and members e of ||1 - alpha_e||^2 + ||1 - gamma_e||^2
  (LatentBE; Nam, Lee, Heo and Lee, "Improving Ensemble Distillation With Weight
  Averaging and Diversifying Perturbation", ICML 2022). In a plain network,
  alpha and gamma are all ones.

  Args:
    fast_weights: Each layer's alpha [E, C] and gamma [E, F].
    ensemble_size: E.

  Returns:
    Float32 scalar.
  """
  distances = [2 * tf.nn.l2_loss(1.0 - weight) for weight in fast_weights]
  return tf.add_n(distances) / ensemble_size
