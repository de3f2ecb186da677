"""Hydra: one body, with a head for each member."""

from __future__ import annotations

from uncertainty_distill import layers

import tf_keras


def hydra(model: tf_keras.Model, ensemble_size: int) -> tf_keras.Model:
  """Turns a plain network of E * K outputs into E heads of K classes.

  The members share all but the last layer, so they cost about as much as one
  network (Tran et al. 2020, "Hydra: Preserving Ensemble Diversity for Model
  Distillation"). In that paper each head learns from one member of the teacher,
  as in head distillation.

  Args:
    model: A plain network of images [B, H, W, C] -> logits [B, E * K].
    ensemble_size: The number of members E.

  Returns:
    A model with the same layers, of images [B, H, W, C] -> float32 logits
    [E, B, K].
  """
  logits = layers.SplitHeads(ensemble_size, name='split_heads')(model.output)
  return tf_keras.Model(model.input, logits, name=model.name)
