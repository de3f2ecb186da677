"""The one task: an ensemble classifies images, with or without a teacher."""

from __future__ import annotations

from uncertainty_distill import configs, data, models, trained
from uncertainty_distill import metrics as metrics_lib
from uncertainty_distill.training import initialization, teacher
from uncertainty_distill.training import loss_terms as terms_lib

import tensorflow as tf
import tf_keras
from official.core import base_task, task_factory


@task_factory.register_task_cls(configs.TaskConfig)
class ClassificationTask(base_task.Task):
  """Trains [B, H, W, C] -> [E, B, K] by the configured objective."""

  # The key of what `train_step` minimises, for Model Garden's trainer.
  loss = 'loss'

  def __init__(
    self,
    params: configs.TaskConfig,
    stored_logits: trained.StoredLogits | None = None,
    **kwargs,
  ):
    """Takes what the task is.

    Args:
      params: The configuration, resolved.
      stored_logits: The teacher's, with every view that is trained on; None to
        run the teacher in every step.
      **kwargs: Of `base_task.Task`.
    """
    super().__init__(params, **kwargs)
    self._stored_logits = stored_logits
    self._tied = ()
    self._start = None

  def build_model(self) -> tf_keras.Model:
    """Builds the student, and loads its teacher where there is one.

    Raises:
      InputError: If the teacher does not fit the student, or if the networks to
        start from do not.
    """
    initialization.check_networks(self.task_config)
    self._strategy = tf.distribute.get_strategy()
    # First, so that its initial weights do not depend on there being a teacher.
    model = models.build_model(**self.task_config.model.as_dict())
    self._teacher = teacher.load_teacher(self.task_config, self._stored_logits)
    if self.task_config.objective.weight_tie:
      self._tied = teacher.tie_weights(self.task_config, model, self._teacher)
    return model

  def initialize(self, model: tf_keras.Model):
    """Starts a run that has no checkpoint yet.

    Args:
      model: Gets other initial weights if the configuration says so.
    """
    if not self.task_config.initialize_from:
      return
    if self._start is None:  # TensorFlow calls twice for several workers.
      self._start = initialization.find_weights(
        self.task_config, self._strategy
      )
    initialization.set_weights(model, self._start, self._strategy)

  def build_inputs(
    self,
    params: configs.TrainDataConfig,
    input_context: tf.distribute.InputContext | None = None,
    start_step: int = 0,
  ) -> tf.data.Dataset:
    """Builds one worker's training or validation batches.

    Args:
      params: `train_data` or `validation_data` of the configuration.
      input_context: Which replicas to feed.
      start_step: The global step that training goes on from.
    """
    train_data = self.task_config.train_data
    dataset = data.open_configured(train_data)
    if isinstance(params, configs.ValidationDataConfig):
      return data.evaluation_batches(
        dataset.test.take(params.num_examples),
        params.global_batch_size,
        input_context,
      )
    training_set, _ = data.open_training(dataset, train_data)
    stored, seed = self._stored_logits, self.task_config.seed
    return data.training_batches(
      training_set,
      params.global_batch_size,
      seed=seed,
      padding=params.crop_padding,
      flip=params.horizontal_flip,
      views=params.views,
      augmentation_seed=(
        seed if params.augmentation_seed < 0 else params.augmentation_seed
      ),
      teacher_logits=stored.read if stored else None,
      start_step=start_step,
      context=input_context,
    )

  def build_metrics(self, training: bool = True):
    """Returns statistics of the predictions, then means of a step's numbers."""
    statistics = metrics_lib.ClassificationStatistics(
      self.task_config.model.ensemble_size
    )
    if not training:
      return [statistics]
    names = [*terms_lib.term_names(self.task_config), 'gradient_norm']
    return [statistics] + [metrics_lib.WatchedMean(name) for name in names]

  # Nothing in it needs AutoGraph, which would take as long as the tracing.
  @tf.autograph.experimental.do_not_convert
  def train_step(self, inputs, model, optimizer, metrics=None):
    """Takes one step on one replica's batch.

    Returns:
      The replica's loss and its terms, and under `gradient_norm` the L2 norm of
      the gradient that all replicas have together.
    """
    images, labels = inputs['images'], inputs['labels']
    teacher_logits = self._teacher_logits(inputs)
    with tf.GradientTape() as tape:
      logits = model(images, training=True)
      terms = terms_lib.loss_terms(
        self.task_config, logits, teacher_logits, labels, model, self._tied
      )
      # Gradients are summed over replicas; their mean is wanted.
      replicas = tf.distribute.get_strategy().num_replicas_in_sync
      replica_loss = terms['loss'] / replicas
    variables = model.trainable_variables
    # Summed here rather than by the optimizer: the sum has the norm to show.
    gradients = tf.distribute.get_replica_context().all_reduce(
      'sum', tape.gradient(replica_loss, variables)
    )
    optimizer.apply_gradients(
      zip(self._scale_fast(gradients, variables, model), variables),
      experimental_aggregate_gradients=False,
    )
    terms['gradient_norm'] = tf.linalg.global_norm(gradients)
    statistics, *means = metrics
    statistics.update_state(logits, labels)
    for mean in means:
      mean.update_state(terms[mean.name])
    return terms

  def _teacher_logits(self, inputs):
    """Returns [M, B, K], of the very images that the student sees."""
    if 'teacher_logits' in inputs:
      stored = tf.cast(inputs['teacher_logits'], tf.float32)
      return tf.transpose(stored, [1, 0, 2])
    if self._teacher is None:
      return None
    return self._teacher(inputs['images'], training=False)

  def _scale_fast(self, gradients, variables, model):
    """Gives alpha and gamma a learning rate of their own.

    SGD's steps, momentum included, are linear in the gradients, so a scaled
    gradient is a scaled learning rate.
    """
    fast = {variable.ref() for variable in models.fast_weights(model)}
    multiplier = self.task_config.fast_weight_learning_rate_multiplier
    return [
      gradient * multiplier if variable.ref() in fast else gradient
      for gradient, variable in zip(gradients, variables)
    ]

  @tf.autograph.experimental.do_not_convert
  def validation_step(self, inputs, model, metrics=None):
    """Scores one replica's batch; padding is masked."""
    logits = model(inputs['images'], training=False)
    metrics[0].update_state(logits, inputs['labels'], inputs['mask'])
    return {}
