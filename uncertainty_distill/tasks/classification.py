"""The one task: an ensemble classifies images, with or without a teacher."""

from __future__ import annotations

from official.core import base_task
from official.core import task_factory
import tensorflow as tf
import tf_keras
from uncertainty_distill import configs
from uncertainty_distill import data
from uncertainty_distill import losses
from uncertainty_distill import metrics as metrics_lib
from uncertainty_distill import modeling
from uncertainty_distill import teachers
from uncertainty_distill.errors import InputError


def check_members(config: configs.TaskConfig, teacher_size: int) -> None:
  """Raises an InputError if head distillation cannot match the members."""
  members = config.model.ensemble_size
  if config.objective.kind == 'head' and teacher_size != members:
    raise InputError(
        '--objective', 'head',
        f'as many teacher members ({teacher_size}) as student members '
        f'({members})', 'set --ensemble_size, or take --objective=knowledge',
    )


@task_factory.register_task_cls(configs.TaskConfig)
class ClassificationTask(base_task.Task):
  """Trains [B, H, W, C] -> [E, B, K] by the configured objective."""

  # The key of what `train_step` minimises, for Model Garden's trainer.
  loss = 'loss'

  def __init__(
      self,
      params: configs.TaskConfig,
      stored_logits: teachers.LogitsCache | None = None,
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

  def build_model(self) -> tf_keras.Model:
    """Builds the student, and loads its teacher where there is one.

    Raises:
      InputError: If the teacher does not fit the student.
    """
    # First, so that its initial weights do not depend on there being a teacher.
    model = modeling.build_model(**self.task_config.model.as_dict())
    self._teacher = self._load_teacher()
    if self.task_config.objective.weight_tie:
      self._tied = self._tie_weights(model)
    return model

  def _load_teacher(self) -> tf_keras.Model | None:
    if self.task_config.objective.kind == 'cross_entropy':
      return None
    if self._stored_logits is not None:
      check_members(self.task_config, self._stored_logits.ensemble_size)
      return None
    teacher = self._load_ensemble()
    check_members(self.task_config, teacher.ensemble_size)
    return teacher.model

  def _load_ensemble(self) -> teachers.Ensemble:
    model = self.task_config.model
    teacher = teachers.load_ensemble(
        self.task_config.objective.teacher, '--teacher', model.image_shape,
        model.num_classes,
    )
    teacher.model.trainable = False
    return teacher

  def _tie_weights(self, model):
    """Returns the student's kernels beside the teacher's."""
    teachers.check_weights(
        self.task_config.objective.teacher, self.task_config.model
    )
    # Stored logits spare the steps the teacher's network, not its weights.
    teacher = self._teacher or self._load_ensemble().model
    return teachers.pair_weights(model, teacher)

  def initialize(self, model: tf_keras.Model):
    """Leaves the initial weights as they are; Model Garden would load some."""

  def build_inputs(
      self,
      params: configs.experiment.TrainDataConfig,
      input_context: tf.distribute.InputContext | None = None,
      start_step: int = 0,
  ) -> tf.data.Dataset:
    """Builds one worker's training or validation batches.

    Args:
      params: `train_data` or `validation_data` of the configuration.
      input_context: Which replicas to feed.
      start_step: The global step that training goes on from.
    """
    train = self.task_config.train_data
    training = params is train
    dataset = data.load_dataset(
        train.name, 'train' if training else 'test', train.data_dir,
        tuple(train.classes),
    ).take(params.num_examples)
    if not training:
      return data.evaluation_batches(
          dataset, params.global_batch_size, input_context
      )
    stored, seed = self._stored_logits, self.task_config.seed
    return data.training_batches(
        dataset,
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
    """Returns the statistics of the predictions, then a mean of each term."""
    statistics = metrics_lib.ClassificationStatistics(
        self.task_config.model.ensemble_size
    )
    if not training:
      return [statistics]
    names = ['cross_entropy', 'l2']
    if self.task_config.objective.kind != 'cross_entropy':
      names.append('distillation')
    if self.task_config.objective.weight_tie:
      names.append('weight_tie')
    return [statistics] + [tf_keras.metrics.Mean(name) for name in names]

  def loss_terms(
      self,
      logits: tf.Tensor,
      teacher_logits: tf.Tensor | None,
      labels: tf.Tensor,
      model: tf_keras.Model,
  ) -> dict[str, tf.Tensor]:
    """Returns the loss and its terms, unweighted, as means over the batch.

    loss = (1 - w) cross_entropy + w distillation + lambda l2 + mu weight_tie,
    where the distillation term is T^2 KL(teacher || student), l2 is sum(w^2)
    and weight_tie is the squared distance to the teacher's weights.

    Args:
      logits: [E, B, K].
      teacher_logits: [M, B, K], or None without a teacher.
      labels: [B].
      model: Whose weights L2 is taken of.
    """
    config = self.task_config.objective
    cross_entropy = tf.reduce_mean(
        losses.member_cross_entropy(logits, labels, config.label_smoothing)
    )
    l2 = 2 * tf.add_n(
        [tf.nn.l2_loss(w) for w in modeling.regularized_weights(model)]
    )
    terms = {'cross_entropy': cross_entropy, 'l2': l2}
    fit = cross_entropy
    if teacher_logits is not None:
      distil = (
          losses.head_distillation
          if config.kind == 'head'
          else losses.knowledge_distillation
      )
      terms['distillation'] = tf.reduce_mean(
          distil(logits, teacher_logits, config.temperature)
      )
      weight = config.weight
      fit = (1 - weight) * cross_entropy + weight * terms['distillation']
    loss = fit + self.task_config.l2 * l2
    if config.weight_tie:
      terms['weight_tie'] = losses.weight_tie(self._tied)
      loss += config.weight_tie * terms['weight_tie']
    return {**terms, 'loss': loss}

  # Nothing in it needs AutoGraph, which would take as long as the tracing.
  @tf.autograph.experimental.do_not_convert
  def train_step(self, inputs, model, optimizer, metrics=None):
    """Takes one step on one replica's batch; returns the loss's terms."""
    images, labels = inputs['images'], inputs['labels']
    teacher_logits = self._teacher_logits(inputs)
    with tf.GradientTape() as tape:
      logits = model(images, training=True)
      terms = self.loss_terms(logits, teacher_logits, labels, model)
      # The optimizer sums gradients over replicas; their mean is wanted.
      replicas = tf.distribute.get_strategy().num_replicas_in_sync
      replica_loss = terms['loss'] / replicas
    variables = model.trainable_variables
    gradients = tape.gradient(replica_loss, variables)
    optimizer.apply_gradients(
        zip(self._scale_fast(gradients, variables, model), variables)
    )
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
    fast = {variable.ref() for variable in modeling.fast_weights(model)}
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
