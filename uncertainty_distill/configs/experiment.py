"""What an experiment is made of, field by field.

Lengths of training are in epochs and its milestones in fractions of it, so
that a changed batch or a shorter run keeps the shape of the schedule. A value
of 0 or () that is said to be derived is filled in by `resolve`.
"""

from __future__ import annotations

import dataclasses

from uncertainty_distill.configs.data_config import (
  TrainDataConfig,
  ValidationDataConfig,
)
from uncertainty_distill.configs.teacher_config import TeacherConfig

from official.core import config_definitions as cfg
from official.modeling import hyperparams

OBJECTIVES = ('cross_entropy', 'knowledge', 'head')
PERTURBED = ('auto', 'weights', 'activations')
# In `initialize_from`, instead of folders; a folder so called is `./teacher`.
FROM_TEACHER = ('teacher',)


@dataclasses.dataclass
class ModelConfig(hyperparams.Config):
  """A Wide ResNet; the arguments of `modeling.build_model`.

  Attributes:
    image_shape: H, W, C; derived from the dataset.
    num_classes: K; derived from the dataset.
    depth: 6 n + 4.
    width: Multiplier of the channels.
    mean: Of each channel in 0..1; derived from the dataset.
    stddev: Likewise.
    ensemble_size: Members E of a BatchEnsemble; 1 is a single network.
    rank: Of the members' perturbations of the weights.
    perturb: What alpha and gamma multiply: `weights` (one kernel a member),
      `activations` (as published; faster on a TPU), or `auto` for what is
      cheaper on the device. The function is the same.
    fast_weight_stddev: alpha, gamma ~ N(1, fast_weight_stddev^2) at first.
    batch_norm_momentum: Of the moving statistics.
    batch_norm_epsilon: Added to the variance.
    sync_batch_norm: Normalise by the statistics of the global batch instead of
      each replica's own.
  """

  image_shape: tuple[int, ...] = ()
  num_classes: int = 0
  depth: int = 28
  width: int = 10
  mean: tuple[float, ...] = ()
  stddev: tuple[float, ...] = ()
  ensemble_size: int = 4
  rank: int = 1
  perturb: str = 'auto'
  fast_weight_stddev: float = 0.5
  batch_norm_momentum: float = 0.9
  batch_norm_epsilon: float = 1e-5
  sync_batch_norm: bool = False


@dataclasses.dataclass
class ObjectiveConfig(hyperparams.Config):
  """The loss of an example, averaged over the student's members.

  (1 - weight) * cross-entropy + weight * temperature^2 * KL(teacher||student);
  only the cross-entropy where there is no teacher.

  Attributes:
    kind: `cross_entropy` (no teacher); `knowledge`: every member learns the
      mean of the teacher's probabilities; `head`: member i learns those of the
      teacher's member i.
    weight: Of the distillation term, 0..1.
    temperature: Of both softmaxes in it.
    label_smoothing: Of the labels in the cross-entropy, 0..1.
    teacher: Folders of the teacher's runs or SavedModels, or files of its
      stored predictions (`teachers.predictions`); their members are stacked.
    teacher_cache: Folder of what teachers said of augmented views, made where
      it is missing and shared by any number of students; empty to run the
      teacher in every step. It is kept in float32 whatever the run computes in.
    weight_tie: Of the squared distance of member i's kernels to those of the
      teacher's member i, a plain network of the student's depth and width.
  """

  kind: str = 'cross_entropy'
  weight: float = 0.9
  temperature: float = 1.0
  label_smoothing: float = 0.0
  teacher: tuple[str, ...] = ()
  teacher_cache: str = ''
  weight_tie: float = 0.0


@dataclasses.dataclass
class TaskConfig(hyperparams.Config):
  """Image classification by an ensemble.

  Attributes:
    model: The network.
    train_data: Training examples.
    validation_data: Test examples.
    objective: The loss.
    l2: lambda of lambda * sum(w^2) over kernels, BatchNorm's scales and
      offsets, and the dense bias; alpha and gamma are left alone.
    block_l2: Six lambdas in its place: of the first convolution; of the groups
      0, 1 and 2 with their BatchNorms; of the dense kernel with the last
      BatchNorm; of the dense bias. () for `l2` everywhere.
    fast_weight_learning_rate_multiplier: Of alpha's and gamma's learning rate.
    initialize_from: Run folders of plain networks of the model's depth and
      width, one for each of its members. Training starts from the BatchEnsemble
      nearest to them, layer by layer, whose weights are kept from being huge,
      and from the mean of their BatchNorms. `teacher` alone is for the
      teacher's folders, which take its place; () for random weights.
    initialize_aligned: Whether first to put each network's neurons into the
      order in which its weights are most like the first one's.
    seed: Of initial weights, order of examples and augmentation.
  """

  model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
  train_data: TrainDataConfig = dataclasses.field(
    default_factory=TrainDataConfig
  )
  validation_data: ValidationDataConfig = dataclasses.field(
    default_factory=ValidationDataConfig
  )
  objective: ObjectiveConfig = dataclasses.field(
    default_factory=ObjectiveConfig
  )
  l2: float = 3e-4
  block_l2: tuple[float, ...] = ()
  fast_weight_learning_rate_multiplier: float = 0.5
  initialize_from: tuple[str, ...] = ()
  initialize_aligned: bool = False
  seed: int = 0


@dataclasses.dataclass
class TrainerConfig(cfg.TrainerConfig):
  """Model Garden's trainer, its lengths derived from epochs.

  `train_steps`, `steps_per_loop`, `summary_interval`, `checkpoint_interval`,
  `validation_interval` (all in steps) and `optimizer_config` are derived where
  they are left at 0 or unset.

  Attributes:
    epochs: Of training.
    base_learning_rate: For 128 distinct examples a step; it grows linearly
      with the batch.
    momentum: Of SGD, with Nesterov's form.
    warmup_epochs: The learning rate rises linearly from 0 over them.
    decay_fractions: Where the learning rate falls, in fractions of training.
    decay_rate: The factor by which it falls.
    recovery_max_trials: How often in a run, when numbers turn infinite or none,
      to go back to the last checkpoint and on with a lower learning rate; 0
      stops instead.
    recovery_learning_rate_factor: By which the learning rate is multiplied
      each time.
    loss_upper_bound: A mean loss above it counts as infinite.
    recovery_begin_steps: From which step on it does.
    max_to_keep: Checkpoints; the older ones are for when the newest is damaged.
  """

  epochs: float = 250.0
  base_learning_rate: float = 0.1
  momentum: float = 0.9
  warmup_epochs: float = 1.0
  decay_fractions: tuple[float, ...] = (0.4, 0.8, 0.9)
  decay_rate: float = 0.2
  steps_per_loop: int = 0
  summary_interval: int = 0
  checkpoint_interval: int = 0
  validation_interval: int = 0
  max_to_keep: int = 2
  recovery_learning_rate_factor: float = 0.5
  validation_summary_subdir: str = 'clean'


@dataclasses.dataclass
class EvaluationConfig(hyperparams.Config):
  """The corrupted test sets to evaluate on.

  Attributes:
    corruptions: Their names; `standard` for the 15 that published means are
      over, `extra` for the other 4, `all` for all 19, () for none.
    severities: Out of 1..5.
    source: Where corrupted images come from: empty to make them on the fly,
      `tfds` for TFDS's cifar10_corrupted, or a folder of CIFAR-10-C or
      CIFAR-100-C as published.
    frost: The pictures of ice in images that are made on the fly: `texture`,
      drawn by rule, or `photographs`, the published ones.
    out_of_distribution: A dataset of other classes, whose test images are to be
      told from this one's by their entropy: `cifar100`, `svhn_cropped` or
      `cifar10`, where TFDS has prepared it, or the path of an `.npz` file;
      empty for the classes that `task.train_data.classes` leaves out, if any.
  """

  corruptions: tuple[str, ...] = ('standard',)
  severities: tuple[int, ...] = (1, 2, 3, 4, 5)
  source: str = ''
  frost: str = 'texture'
  out_of_distribution: str = ''


@dataclasses.dataclass
class RuntimeConfig(cfg.RuntimeConfig):
  """The devices: Model Garden's own values, and the threads of the CPU.

  Attributes:
    num_threads: The threads of TensorFlow's operations, of OpenMP and of BLAS
      in a process; 0 for one on each core. The same number gives the same
      results, to the bit; another one may add in another order.
  """

  num_threads: int = 0


@dataclasses.dataclass
class ExperimentConfig(cfg.ExperimentConfig):
  """A whole experiment; a run folder keeps it as `params.yaml`.

  Attributes:
    experiment: The registered name that it started from.
    task: What is learnt.
    trainer: How long, how fast.
    runtime: On what.
    teacher: The teacher to train where none is given.
    evaluation: On which corrupted sets.
  """

  experiment: str = ''
  task: TaskConfig = dataclasses.field(default_factory=TaskConfig)
  runtime: RuntimeConfig = dataclasses.field(default_factory=RuntimeConfig)
  trainer: TrainerConfig = dataclasses.field(default_factory=TrainerConfig)
  teacher: TeacherConfig = dataclasses.field(default_factory=TeacherConfig)
  evaluation: EvaluationConfig = dataclasses.field(
    default_factory=EvaluationConfig
  )
