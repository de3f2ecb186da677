"""The loss that a task minimizes, term by term."""

from __future__ import annotations

from collections.abc import Sequence

from uncertainty_distill import configs, losses, models

import tensorflow as tf
import tf_keras


def term_names(config: configs.TaskConfig) -> list[str]:
  """Returns the names of the terms that the loss is made of."""
  names = ['cross_entropy', 'l2']
  if config.objective.uses_teacher:
    names.append('distillation')
  if config.objective.weight_tie:
    names.append('weight_tie')
  if config.fast_weight_decay:
    names.append('fast_weight_decay')
  return names


def loss_terms(
  config: configs.TaskConfig,
  logits: tf.Tensor,
  teacher_logits: tf.Tensor | None,
  labels: tf.Tensor,
  model: tf_keras.Model,
  tied: Sequence[losses.TiedLayer] = (),
  clean_logits: tf.Tensor | None = None,
) -> dict[str, tf.Tensor]:
  """Returns the loss and its unweighted terms, as means over the batch.

  loss = (1 - w) cross_entropy + w distillation + lambda l2 + mu weight_tie
  + nu fast_weight_decay.
  Here cross_entropy is the mean over the images that have labels, and the
  distillation term, T^2 KL(teacher || student), is the mean over all images. l2
  is sum(w^2), weight_tie is the squared distance to the teacher's weights, and
  fast_weight_decay is the squared distance of alpha and gamma to 1, averaged
  over members. With `block_l2`, each block of the network has its own lambda,
  and the term l2 is still sum(w^2) over all blocks.

  Args:
    config: The configuration of the task.
    logits: [E, B, K].
    teacher_logits: [M, B, K], or None without a teacher.
    labels: [B], -1 for images without a label.
    model: The model, whose squared weights l2 sums up.
    tied: The model's kernels and the teacher's, paired for the weight tie.
    clean_logits: The logits [E, B, K] of the images that the labels belong to;
      None if these are `logits`.
  """
  objective = config.objective
  label_logits = logits if clean_logits is None else clean_logits
  cross_entropy = _cross_entropy(config, label_logits, labels)
  squares = [
    2 * tf.add_n([tf.nn.l2_loss(weight) for weight in block])
    for block in config.model.l2_groups(model)
  ]
  terms = {'cross_entropy': cross_entropy, 'l2': tf.add_n(squares)}
  fit = cross_entropy
  if teacher_logits is not None:
    terms['distillation'] = _distillation(objective, logits, teacher_logits)
    weight = objective.weight
    fit = (1 - weight) * cross_entropy + weight * terms['distillation']
  # A single l2 becomes equal lambdas of all blocks, so that the sum is computed
  # in the same way.
  strengths = config.block_l2 or (config.l2,) * len(squares)
  loss = fit + tf.add_n([s * block for s, block in zip(strengths, squares)])
  if objective.weight_tie:
    terms['weight_tie'] = losses.weight_tie(tied)
    loss += objective.weight_tie * terms['weight_tie']
  if config.fast_weight_decay:
    terms['fast_weight_decay'] = losses.distance_to_ones(
      models.fast_weights(model), config.model.ensemble_size
    )
    loss += config.fast_weight_decay * terms['fast_weight_decay']
  return {**terms, 'loss': loss}


def _distillation(
  objective: configs.ObjectiveConfig,
  logits: tf.Tensor,
  teacher_logits: tf.Tensor,
) -> tf.Tensor:
  """Returns the distillation term, the mean over the batch."""
  if objective.kind == 'head':
    distil = losses.head_distillation
  else:
    distil = losses.knowledge_distillation
  return tf.reduce_mean(distil(logits, teacher_logits, objective.temperature))


def _cross_entropy(
  config: configs.TaskConfig, logits: tf.Tensor, labels: tf.Tensor
) -> tf.Tensor:
  """Returns the mean over the images that have labels.

  The divisor follows from the share of labeled images in the global batch. So
  the mean over replicas is the mean over the whole step, however the replicas
  share the images.
  """
  objective, train_data = config.objective, config.train_data
  if not train_data.num_unlabeled:
    return tf.reduce_mean(
      losses.member_cross_entropy(logits, labels, objective.label_smoothing)
    )
  values = losses.member_cross_entropy(
    logits, tf.maximum(labels, 0), objective.label_smoothing
  )
  share = 1 - train_data.num_unlabeled / train_data.global_batch_size
  return tf.reduce_mean(tf.where(labels >= 0, values, 0.0)) / share
