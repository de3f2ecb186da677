"""The one task: an ensemble classifies images, with or without a teacher."""

from __future__ import annotations

import dataclasses
from typing import Any

from uncertainty_distill import configs, data, layers, losses, models, trained
from uncertainty_distill import metrics as metrics_lib
from uncertainty_distill.training import initialization, loss_terms
from uncertainty_distill.training import teacher as teacher_lib
from uncertainty_distill.training.opened_experiment import Experiment

import tensorflow as tf
import tf_keras
from official.core import base_task


class ClassificationTask(base_task.Task):
  """Trains images [B, H, W, C] -> logits [E, B, K] by the configured objective.

  The model takes the images of one replica, uint8 [b, H, W, C], or float32
  where the teacher has changed them. It returns logits [E, b, K]. A batch has
  labels int32 [b], which are -1 for images without a label. If the teacher's
  logits are stored, the batch also has `teacher_logits`, float16 [b, M, K]. If
  images are mixed or changed, it may have `clean_images` uint8 [b, H, W, C],
  for the cross-entropy, and `draws` float32 [b, K + 2], from which the teacher
  makes its views.

  With `members_per_example` m below E, each member sees b' = m b / E examples
  of its own. The images of all members are then [E, b', H, W, C], and their
  logits are [E, b', K]. Losses and metrics are means over members and examples,
  so they take the rows of all members as the examples of a single member:
  logits [1, E b', K], labels [E b'], and teacher logits [M, E b', K], or
  [1, E b', K] from each row's own teacher member.
  """

  # The key of the loss in what `train_step` returns.
  loss = 'loss'

  def __init__(
    self,
    experiment: Experiment,
    stored_logits: trained.StoredLogits | None = None,
    teacher_temperature: float = 1.0,
  ):
    """Initializes the task.

    Args:
      experiment: The experiment, which holds the examples and the teacher.
      stored_logits: The teacher's logits of every view that is trained on; None
        to run the teacher in every step.
      teacher_temperature: The temperature that calibrates the teacher.
    """
    super().__init__(experiment.config.task)
    self._experiment = experiment
    self._stored_logits = stored_logits
    self._teacher_temperature = teacher_temperature
    self._ensemble = None
    self._tied_layers = ()
    self._start = None

  def build_model(self) -> tf_keras.Model:
    """Builds the student, and loads its teacher if there is one.

    Raises:
      InputError: If the teacher does not fit the student, if the networks to
        start from do not fit it, or if its layers compute in float16.
    """
    initialization.check_networks(self._experiment)
    # Built first, so that its initial weights do not depend on a teacher.
    model = self.task_config.model.build()
    models.check_precision(model)
    if self.task_config.objective.uses_teacher:
      self._load_teacher(model)
    return model

  def _load_teacher(self, student):
    """Loads the parts of the teacher that the training steps need."""
    config, stored = self.task_config, self._stored_logits
    tie = config.objective.weight_tie
    if stored:
      teacher_lib.check_members(config, stored.ensemble_size)
      if not tie:
        return
    if tie:
      trained.check_networks(
        self._experiment.teacher, config.model, 'task.objective.weight_tie'
      )
    ensemble = teacher_lib.load_teacher(self._experiment)
    if tie:
      self._tied_layers = trained.pair_weights(student, ensemble.models)
    if not stored:
      self._ensemble = ensemble

  def initialize(self, model: tf_keras.Model) -> None:
    """Sets the initial weights of a run that has no checkpoint yet.

    Args:
      model: The model. Its random weights are replaced if the configuration
        names networks to start from, if the experiment has an initial model, or
        if the architecture comes with weights.

    Raises:
      InputError: If the initial weights cannot be loaded.
    """
    config = self.task_config
    if not config.initialize_from:
      given = self._experiment.initial_model
      if given is None:
        config.model.load_initial_weights(model)
      else:
        models.set_plain_weights(model, given)
      return
    # With several workers, TensorFlow calls this twice.
    if self._start is None:
      self._start = initialization.find_weights(self._experiment)
    initialization.set_weights(model, self._start, self._experiment.strategy)

  def build_inputs(
    self,
    params: configs.TrainDataConfig,
    input_context: tf.distribute.InputContext | None = None,
    start_step: int = 0,
  ) -> tf.data.Dataset:
    """Builds one worker's training or validation batches.

    Args:
      params: `train_data` or `validation_data` of the configuration.
      input_context: The replicas to feed.
      start_step: The global step that training continues from.
    """
    if isinstance(params, configs.ValidationDataConfig):
      return data.evaluation_batches(
        self._experiment.dataset.test.take(params.num_examples),
        params.global_batch_size,
        input_context,
      )
    stored, views = self._stored_logits, self._experiment.views
    return data.training_batches(
      dataclasses.replace(
        views,
        draws=views.draws and not stored,
        clean=self.task_config.objective.has_clean_pass,
      ),
      params.global_batch_size,
      seed=self.task_config.seed,
      num_views=params.views,
      teacher_logits=stored.read if stored else None,
      num_unlabeled=params.num_unlabeled,
      teacher_images=(
        stored.read_images  # pyright: ignore[reportAttributeAccessIssue]
        if stored and stored.has_images
        else None
      ),
      start_step=start_step,
      context=input_context,
      num_groups=self._num_groups,
    )

  def build_metrics(
    self, training: bool = True
  ) -> list[tf_keras.metrics.Metric]:
    """Returns statistics of the predictions, then means of the loss terms."""
    statistics = metrics_lib.ClassificationStatistics(
      1
      if training and self._members_see_different_examples
      else self.task_config.model.ensemble_size
    )
    if not training:
      return [statistics]
    names = [*loss_terms.term_names(self.task_config), 'gradient_norm']
    means = [metrics_lib.NonFiniteTrackingMean(name) for name in names]
    return [statistics, *means]

  @property
  def _num_groups(self):
    """The number of groups in a batch; 1 if every member sees all examples."""
    config = self.task_config
    members = config.model.ensemble_size
    return members if config.members_per_example < members else 1

  @property
  def _members_see_different_examples(self):
    """Whether each member sees examples of its own."""
    return self._num_groups > 1

  # Nothing here needs AutoGraph, which would take as long as tracing.
  @tf.autograph.experimental.do_not_convert
  def train_step(
    self,
    inputs: dict[str, tf.Tensor],
    model: tf_keras.Model,
    optimizer: tf_keras.optimizers.Optimizer,
    metrics: Any = None,
  ) -> dict[str, tf.Tensor]:
    """Takes one step on one replica's batch.

    Returns:
      The replica's loss and its terms, and `gradient_norm`, the L2 norm of the
      gradient of the global batch.
    """
    labels, clean = inputs['labels'], inputs.get('clean_images')
    images, teacher_logits = self._ask_teacher(inputs)
    if self._members_see_different_examples:
      images, clean, labels, teacher_logits = self._select_member_rows(
        images, clean, labels, teacher_logits
      )
    with tf.GradientTape() as tape:
      logits = self._logits(model, images)
      label_logits = logits if clean is None else self._logits(model, clean)
      terms = loss_terms.loss_terms(
        self.task_config,
        logits,
        teacher_logits,
        labels,
        model,
        self._tied_layers,
        label_logits,
      )
      # Gradients are summed over replicas, but their mean is needed.
      replicas = tf.distribute.get_strategy().num_replicas_in_sync
      replica_loss = terms['loss'] / replicas
    gradients = tape.gradient(replica_loss, model.trainable_variables)
    terms['gradient_norm'] = self._apply(gradients, model, optimizer)
    statistics, *means = metrics
    if self.task_config.train_data.num_unlabeled:
      statistics.update_state(label_logits, labels, labels >= 0)
    else:
      statistics.update_state(label_logits, labels)
    for mean in means:
      mean.update_state(terms[mean.name])
    return terms

  def _apply(self, gradients, model, optimizer):
    """Updates the weights of all replicas; returns the norm of the gradient."""
    variables = model.trainable_variables
    # Summed here, not by the optimizer, since the norm of the sum is needed.
    gradients = tf.distribute.get_replica_context().all_reduce('sum', gradients)
    optimizer.apply_gradients(
      zip(self._scale_fast(gradients, variables, model), variables),
      experimental_aggregate_gradients=False,
    )
    return tf.linalg.global_norm(gradients)

  def _ask_teacher(self, inputs):
    """Returns the images to learn from, and the teacher's logits of them.

    The logits are [M, b, K], or [1, b, K] where the members' mean is
    calibrated. Without a teacher they are None.
    """
    images, objective = inputs['images'], self.task_config.objective
    if 'teacher_logits' in inputs:
      stored = tf.cast(inputs['teacher_logits'], tf.float32)
      logits = tf.transpose(stored, [1, 0, 2])
    elif self._ensemble is not None:
      images = teacher_lib.make_views(objective, self._ensemble, inputs)
      logits = self._ensemble(images, training=False)
    else:
      return images, None
    # A fitted temperature of 1 also belongs to the members' mean.
    if objective.teacher_temperature != 1:
      pooled = objective.kind == 'knowledge'
      logits = losses.calibrated_teacher(
        logits, self._teacher_temperature, pooled
      )
    return images, logits

  def _select_member_rows(self, images, clean, labels, teacher_logits):
    """Returns the rows of all members from each argument that is not None."""
    config = self.task_config
    members = config.model.ensemble_size
    rows = layers.member_rows(
      images.shape[0], members, config.members_per_example
    )
    flat = rows.reshape(-1)
    if teacher_logits is not None:
      if config.objective.kind == 'head':
        taught = [
          tf.gather(z, r) for z, r in zip(tf.unstack(teacher_logits), rows)
        ]
        teacher_logits = tf.concat(taught, 0)[tf.newaxis]
      else:
        teacher_logits = tf.gather(teacher_logits, flat, axis=1)
    return (
      tf.gather(images, flat),
      None if clean is None else tf.gather(clean, flat),
      tf.gather(labels, flat),
      teacher_logits,
    )

  def _logits(self, model, images):
    """Returns logits [E, b, K], or [1, E b, K] if examples were dealt out."""
    if not self._members_see_different_examples:
      return model(images, training=True)
    with layers.own_examples():
      logits = model(images, training=True)
    return layers.join_members(logits)[tf.newaxis]

  def _scale_fast(self, gradients, variables, model):
    """Scales the gradients of alpha and gamma, and so their learning rate.

    SGD's steps, including momentum, are linear in the gradients, so scaling a
    gradient scales the learning rate.
    """
    fast = {variable.ref() for variable in models.fast_weights(model)}
    multiplier = self.task_config.fast_weight_learning_rate_multiplier
    return [
      gradient * multiplier if variable.ref() in fast else gradient
      for gradient, variable in zip(gradients, variables)
    ]

  @tf.autograph.experimental.do_not_convert
  def validation_step(
    self,
    inputs: dict[str, tf.Tensor],
    model: tf_keras.Model,
    metrics: Any = None,
  ) -> dict[str, tf.Tensor]:
    """Scores one replica's batch; padding is masked."""
    logits = model(inputs['images'], training=False)
    metrics[0].update_state(logits, inputs['labels'], inputs['mask'])
    return {}
