"""The loss that a task minimises, term by term."""

from __future__ import annotations

from collections.abc import Sequence

from uncertainty_distill import configs, losses, models, trained

import tensorflow as tf
import tf_keras


def term_names(config: configs.TaskConfig) -> list[str]:
  """Returns the names of the terms that the loss is made of."""
  names = ['cross_entropy', 'l2']
  if config.objective.kind != 'cross_entropy':
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
  tied: Sequence[trained.TiedWeights] = (),
  clean_logits: tf.Tensor | None = None,
) -> dict[str, tf.Tensor]:
  """Returns the loss and its terms, unweighted, as means over the batch.

  loss = (1 - w) cross_entropy + w distillation + lambda l2 + mu weight_tie
  + nu fast_weight_decay,
  where cross_entropy is over the images that have labels and the distillation
  term, T^2 KL(teacher || student), over all of them, l2 is sum(w^2),
  weight_tie is the squared distance to the teacher's weights, and
  fast_weight_decay that of alpha and gamma to 1, as a mean over members. With
  `block_l2`, each of six blocks has its own lambda, and the term l2 is still
  sum(w^2) over all of them.

  Args:
    config: The configuration of the task.
    logits: [E, B, K].
    teacher_logits: [M, B, K], or None without a teacher.
    labels: [B], -1 for images without a label.
    model: The model, of whose weights l2 is the sum of squares.
    tied: Its kernels beside the teacher's, for the weight tie.
    clean_logits: [E, B, K], those that the labels belong to; None for `logits`.
  """
  objective = config.objective
  labeled = logits if clean_logits is None else clean_logits
  cross_entropy = _cross_entropy(config, labeled, labels)
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
  # One l2 for all is six equal ones: the sum is taken in the same way.
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

  It is divided by how many the step of all replicas has: the mean over replicas
  is then that of the whole step, however they share the images out.
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
