"""The systems that benchmarks compare, each with the steps of its trainer.

A step is what Model Garden's trainer runs on one device: the task's step with
its model, optimizer and metrics, on a batch of static shape.
"""

from __future__ import annotations

import copy
import functools
import tempfile
from typing import NamedTuple

from uncertainty_distill import configs, layers, runs, trained
from uncertainty_distill.layers import edward2_layers
from uncertainty_distill.training import ClassificationTask, Experiment

import tensorflow as tf
import tf_keras

# After the package, which selects Keras 2 for TensorFlow.
from official.core import base_trainer
from official.modeling import performance

STEPS = ('train', 'evaluation')


class System(NamedTuple):
  """One way to train, described by its changes to the experiment.

  Attributes:
    about: A description in a few words.
    objective: The kind of the objective.
    single: Whether it is a single network instead of a BatchEnsemble.
    peer: Whether the layers are Edward2's as they are published.
    cached: Whether the teacher's logits come with the images.
    weight_tie: The value of the same name in the objective.
    members_per_example: The value of the same name in the training data.
    perturbation: The value of the same name in the objective.
  """

  about: str
  objective: str = 'cross_entropy'
  single: bool = False
  peer: bool = False
  cached: bool = False
  weight_tie: float = 0.0
  members_per_example: int = 0
  perturbation: str = 'none'


SYSTEMS = {
  'plain': System('single network', single=True),
  'batch_ensemble': System('BatchEnsemble'),
  'edward2': System("BatchEnsemble of Edward2's layers", peer=True),
  'one_member': System(
    'BatchEnsemble, one member an example', members_per_example=1
  ),
  'online_teacher': System('student, online teacher', 'knowledge'),
  'cached_teacher': System('student, cached teacher', 'knowledge', cached=True),
  'cached_head': System('head student, cached teacher', 'head', cached=True),
  'cached_ods': System(
    'head student, cached ODS', 'head', cached=True, perturbation='ods'
  ),
  'online_ods': System('head student, online ODS', 'head', perturbation='ods'),
  'weight_tying': System(
    'student, online teacher, tied weights', 'knowledge', weight_tie=1e-4
  ),
}


class _Task(ClassificationTask):
  """The task; with `peer`, its student has Edward2's layers."""

  def __init__(
    self,
    experiment: Experiment,
    stored_logits: trained.LogitsCache | None,
    peer: bool,
  ):
    super().__init__(experiment, stored_logits)
    self._peer = peer

  def build_model(self) -> tf_keras.Model:
    model = super().build_model()
    return _peer_model(self.task_config.model) if self._peer else model


def _write_untrained_run(config: configs.ExperimentConfig, folder: str) -> None:
  """Writes the run folder of a teacher's member, with its initial weights."""
  member = configs.member_config(config)
  runs.claim_run(folder, member)
  model = member.task.model.build()
  checkpoint = tf.train.Checkpoint(model=model)
  manager = tf.train.CheckpointManager(checkpoint, folder, max_to_keep=1)
  manager.save(member.trainer.train_steps)


def _build_task(
  config: configs.ExperimentConfig, system: System
) -> tuple[_Task, tf_keras.Model]:
  """Builds the task, its model and its teacher, whose weights do not matter."""
  objective, stored_logits = config.task.objective, None
  with tempfile.TemporaryDirectory() as folder:
    if system.cached:
      stored_logits = trained.LogitsCache(folder, {})
      stored_logits.shape = _teacher_shape(config)
    elif objective.kind != 'cross_entropy':
      _write_untrained_run(config, folder)
      objective.teacher = (folder,) * config.teacher.ensemble_size
    experiment = Experiment(config, tf.distribute.get_strategy(), config)
    task = _Task(experiment, stored_logits, system.peer)
    return task, task.build_model()


def _teacher_shape(
  config: configs.ExperimentConfig, examples: int = 0
) -> tuple[int, int, int]:
  """Returns the shape [B, M, K] of stored logits."""
  return examples, config.teacher.ensemble_size, config.task.model.num_classes


def _peer_model(config: configs.ModelConfig) -> tf_keras.Model:
  """Returns the network with Edward2's layers as they are published."""

  kinds = {
    tf_keras.layers.Conv2D: edward2_layers.Conv2DBatchEnsemble,
    tf_keras.layers.Dense: edward2_layers.DenseBatchEnsemble,
  }
  fast = functools.partial(
    tf_keras.initializers.RandomNormal, 1.0, config.fast_weight_stddev
  )

  def convert(layer):
    options = layer.get_config()
    if type(layer) not in kinds:
      return type(layer).from_config(options)
    options |= {
      'ensemble_size': config.ensemble_size,
      'rank': config.rank,
      'kernel_initializer': tf_keras.initializers.HeNormal(),
      'bias_initializer': 'zeros',
      'alpha_initializer': fast(),
      'gamma_initializer': fast(),
    }
    return kinds[type(layer)](**options)

  plain = config.build_plain()
  images = tf_keras.Input(config.image_shape)
  rows = layers.TileMembers(config.ensemble_size)(images)
  model = tf_keras.models.clone_model(
    tf_keras.Model(images, plain.call(rows)), clone_function=convert
  )
  logits = layers.SplitMembers(config.ensemble_size)(model.output)
  return tf_keras.Model(model.input, logits)


def build_trainer(
  config: configs.ExperimentConfig, system: System
) -> base_trainer.Trainer:
  """Returns the trainer of a system, as `train_lib.train` builds it."""
  config = copy.deepcopy(config)
  config.task.objective.kind = system.objective
  config.task.objective.weight_tie = system.weight_tie
  config.task.objective.perturbation = system.perturbation
  config.task.train_data.members_per_example = system.members_per_example
  model = config.task.model
  if system.single:
    model.ensemble_size = 1
  tf_keras.backend.clear_session()
  performance.set_mixed_precision_policy(
    config.runtime.mixed_precision_dtype or 'float32'
  )
  task, network = _build_task(config, system)
  optimizer = task.create_optimizer(
    config.trainer.optimizer_config, config.runtime
  )
  none = tf.data.Dataset.range(0)
  return base_trainer.Trainer(
    config,
    task,
    network,
    optimizer,
    train_dataset=none,
    validation_dataset=none,
  )


def batch(
  config: configs.ExperimentConfig, system: System, step: str, examples: int
) -> dict[str, tf.Tensor]:
  """Returns a batch of distinct examples whose values are all zero."""
  image_shape = config.task.model.image_shape
  is_changed = system.perturbation != 'none' and step == 'train'
  # A cache has the images that its teacher changed, with parts of a gray level.
  kind = tf.float32 if is_changed and system.cached else tf.uint8
  inputs = {
    'images': tf.zeros([examples, *image_shape], kind),
    'labels': tf.zeros([examples], tf.int32),
  }
  if step == 'evaluation':
    inputs['mask'] = tf.zeros([examples], tf.bool)
  elif system.cached:
    shape = _teacher_shape(config, examples)
    inputs['teacher_logits'] = tf.zeros(shape, tf.float16)
  elif is_changed:
    draws = config.task.model.num_classes + 2
    inputs['draws'] = tf.zeros([examples, draws])
  return inputs
