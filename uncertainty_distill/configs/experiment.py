"""What an experiment is made of, field by field.

Lengths of training are in epochs and its milestones in fractions of it, so
that a changed batch or a shorter run keeps the shape of the schedule. A value
of 0 or () that is said to be derived is filled in by `resolve`.
"""

from __future__ import annotations

import dataclasses

from uncertainty_distill import metrics, models, ranges
from uncertainty_distill.configs.data_config import (
  TrainDataConfig,
  ValidationDataConfig,
)
from uncertainty_distill.configs.model_config import ModelConfig
from uncertainty_distill.configs.teacher_config import (
  INCREASING_FRACTIONS,
  TeacherConfig,
)

from official.core import config_definitions as cfg

# In `initialize_from`, instead of folders; a folder so called is `./teacher`.
FROM_TEACHER = ('teacher',)


@dataclasses.dataclass
class ObjectiveConfig(models.Settings):
  """The loss of an example, averaged over the student's members.

  (1 - weight) * cross-entropy + weight * temperature^2 * KL(teacher||student);
  only the cross-entropy where there is no teacher. With images without labels
  (`task.train_data.unlabeled`), the cross-entropy is the mean over the labeled
  images of a batch, and KL the mean over all of them.

  Attributes:
    kind: `cross_entropy` (no teacher); `knowledge`: every member learns the
      mean of the teacher's probabilities; `head`: member i learns those of the
      teacher's member i.
    weight: The weight of the distillation term.
    temperature: The temperature of both softmaxes in it.
    label_smoothing: How much of the labels in the cross-entropy is spread over
      all classes.
    teacher: Folders of the teacher's runs or SavedModels, or files of its
      stored predictions; their members are stacked.
    teacher_cache: The folder of teachers' logits of augmented views, made where
      it is missing and shared by any number of students; empty to run the
      teacher in every step. Logits are computed in float32, whatever the run
      computes in, and stored in float16.
    teacher_temperature: One temperature that calibrates the teacher before its
      probabilities are taken: of the members' mean for `knowledge`, of every
      member for `head`. `fit` fits it to the training images that neither
      teacher nor student is trained on (`task.train_data.held_out_fraction`,
      `evaluation.temperature_examples`); the run's `data.yaml` has the value.
    mixup: a of Beta(a, a), by which each image is mixed with another one; the
      teacher is asked for the mixed image (function matching, Beyer et al.,
      2022). No label belongs to it, so that `weight` must be 1, or
      `cross_entropy_images` clean. 0 for none.
    perturbation: How the teacher's input gradient changes each image to one on
      which its members differ: `none`, `ods`, or `conf_ods`, which changes less
      where the teacher is unsure (Nam et al., 2021).
    perturbation_size: The root mean square of the change, in gray levels.
    perturbation_temperature: The temperature of the softmax in it.
    perturbation_share: The share of the images that are changed.
    cross_entropy_images: The images of the cross-entropy, where images are
      mixed or changed: `view`, those that the teacher sees, or `clean`, as they
      were before, which costs the student a second pass.
    weight_tie: The weight of the squared distance of member i's kernels to
      those of the teacher's member i, a plain network of the student's
      architecture.
  """

  kind: str = ranges.field(
    'cross_entropy',
    ranges.one_of('cross_entropy', 'knowledge', 'head'),
    of_member='cross_entropy',
  )
  weight: float = ranges.field(0.9, ranges.FRACTION)
  temperature: float = ranges.field(1.0, ranges.POSITIVE)
  label_smoothing: float = ranges.field(0.0, ranges.BELOW_1)
  teacher: tuple[str, ...] = ranges.field((), of_member=())
  teacher_cache: str = ranges.field('', of_member='')
  teacher_temperature: float | str = ranges.field(
    1.0,
    ranges.Range(
      lambda x: x == 'fit' if isinstance(x, str) else x > 0,
      'more than 0, or fit',
    ),
    of_member=1.0,
  )
  mixup: float = ranges.field(0.0, ranges.NOT_NEGATIVE, of_member=0.0)
  perturbation: str = ranges.field(
    'none', ranges.one_of('none', 'ods', 'conf_ods'), of_member='none'
  )
  perturbation_size: float = ranges.field(1.0, ranges.POSITIVE)
  perturbation_temperature: float = ranges.field(1.0, ranges.POSITIVE)
  perturbation_share: float = ranges.field(1.0, ranges.FACTOR)
  cross_entropy_images: str = ranges.field(
    'view', ranges.one_of('view', 'clean')
  )
  weight_tie: float = ranges.field(0.0, ranges.NOT_NEGATIVE, of_member=0.0)

  @property
  def has_clean_pass(self) -> bool:
    """Whether the student sees clean images, too, beside the views."""
    is_other = self.mixup > 0 or self.perturbation != 'none'
    return is_other and self.cross_entropy_images == 'clean'


@dataclasses.dataclass
class TaskConfig(models.Settings):
  """Image classification by an ensemble.

  Attributes:
    model: The network.
    train_data: Training examples.
    validation_data: Test examples.
    objective: The loss.
    l2: lambda of lambda * sum(w^2) over kernels, BatchNorm's scales and
      offsets, and biases; alpha, gamma and depthwise kernels are left alone.
    block_l2: Instead of `l2`, a lambda for each group of the architecture. A
      Wide ResNet has six: the first convolution; the groups 0, 1 and 2 with
      their BatchNorms; the dense kernel with the last BatchNorm; the dense
      bias. () for `l2` everywhere.
    fast_weight_learning_rate_multiplier: The factor of the learning rate of
      alpha and gamma. E undoes the mean over members, as in LatentBE. Their
      gradients are scaled, so an optimizer that clips sees the scaled ones.
    fast_weight_decay: lambda of lambda / E * sum((1 - alpha)^2 + (1 - gamma)^2)
      over all members, which draws them towards one network (LatentBE; Nam et
      al. 2022).
    initialize_from: Run folders of plain networks of the model's architecture,
      one for each of its members. Training starts from the BatchEnsemble
      nearest to them, layer by layer, whose weights are kept from being huge,
      and from the mean of their BatchNorms. `teacher` alone is for the
      teacher's folders, which take its place; () for random weights.
    initialize_aligned: Whether first to put each network's neurons into the
      order in which its weights are most like the first one's.
    seed: The seed of initial weights, order of examples and augmentation.
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
  l2: float = ranges.field(3e-4, ranges.NOT_NEGATIVE)
  block_l2: tuple[float, ...] = ranges.field(
    (),
    ranges.Range(lambda x: all(value >= 0 for value in x), 'all at least 0'),
    of_member=(),
  )
  fast_weight_learning_rate_multiplier: float = ranges.field(
    0.5, ranges.NOT_NEGATIVE
  )
  fast_weight_decay: float = ranges.field(
    0.0, ranges.NOT_NEGATIVE, of_member=0.0
  )
  initialize_from: tuple[str, ...] = ranges.field((), of_member=())
  initialize_aligned: bool = ranges.field(False, of_member=False)
  seed: int = ranges.field(0, ranges.SEED)

  @property
  def members_per_example(self) -> int:
    """How many members see each example while training."""
    return self.train_data.members_per_example or self.model.ensemble_size


@dataclasses.dataclass
class TrainerConfig(models.Settings, cfg.TrainerConfig):
  """Model Garden's trainer, its lengths derived from epochs.

  Lengths that are derived are given in steps where they are set. Unless
  `optimizer_config` is set, it is derived from the values below.

  Attributes:
    epochs: Passes over the training examples.
    base_learning_rate: The learning rate for 128 distinct examples a step; it
      grows linearly with the batch.
    momentum: The momentum of SGD, with Nesterov's form.
    warmup_epochs: The learning rate rises linearly from 0 over them.
    decay_fractions: The fractions of training at which the learning rate falls.
    decay_rate: The factor by which it falls.
    train_steps: The steps of training; derived.
    steps_per_loop: The steps between two reports of training; derived.
    summary_interval: The steps between points of a curve; derived.
    checkpoint_interval: The steps between checkpoints; derived.
    validation_interval: The steps between evaluations; derived.
    validation_steps: The batches of an evaluation; -1 for all.
    recovery_max_trials: How often in a run, when numbers become non-finite (inf
      or NaN), to return to the last checkpoint and go on with a lower learning
      rate; 0 stops instead.
    recovery_learning_rate_factor: The factor of the learning rate each time.
    loss_upper_bound: A mean loss above it counts as infinite.
    recovery_begin_steps: The first step whose loss is compared with it.
    max_to_keep: How many checkpoints to keep; the older ones are for when the
      newest is damaged.
    validation_summary_subdir: The folder of the curves of the clean test
      images.
  """

  epochs: float = ranges.field(250.0, ranges.POSITIVE)
  base_learning_rate: float = ranges.field(0.1, ranges.POSITIVE)
  momentum: float = ranges.field(0.9, ranges.BELOW_1)
  warmup_epochs: float = ranges.field(1.0, ranges.NOT_NEGATIVE)
  decay_fractions: tuple[float, ...] = ranges.field(
    (0.4, 0.8, 0.9), INCREASING_FRACTIONS
  )
  decay_rate: float = ranges.field(0.2, ranges.FACTOR)
  train_steps: int = ranges.field(0, ranges.NOT_NEGATIVE)
  steps_per_loop: int = ranges.field(0, ranges.NOT_NEGATIVE)
  summary_interval: int = ranges.field(0, ranges.NOT_NEGATIVE)
  checkpoint_interval: int = ranges.field(0, ranges.NOT_NEGATIVE)
  validation_interval: int = ranges.field(0, ranges.NOT_NEGATIVE)
  validation_steps: int = ranges.field(
    -1,
    ranges.Range(lambda x: x == -1 or x >= 1, 'at least 1, or -1 for all'),
  )
  max_to_keep: int = ranges.field(
    2,
    ranges.Range(
      lambda x: x >= 2, 'at least 2, or one that is damaged costs all of them'
    ),
  )
  recovery_max_trials: int = ranges.field(0, ranges.NOT_NEGATIVE)
  recovery_learning_rate_factor: float = ranges.field(0.5, ranges.FACTOR)
  recovery_begin_steps: int = ranges.field(0, ranges.NOT_NEGATIVE)
  loss_upper_bound: float = ranges.field(1e6, ranges.POSITIVE)
  validation_summary_subdir: str = 'clean'


@dataclasses.dataclass
class RuntimeConfig(models.Settings, cfg.RuntimeConfig):
  """The devices: Model Garden's own values, and the threads of the CPU.

  Attributes:
    num_threads: The threads of TensorFlow's operations, of OpenMP and of BLAS
      in a process; 0 for one on each core. The same number gives the same
      results, to the bit; another one may add in another order.
    mixed_precision_dtype: What networks compute in; derived for a TPU, where it
      is bfloat16, otherwise float32.
  """

  num_threads: int = ranges.field(0, ranges.NOT_NEGATIVE)
  mixed_precision_dtype: str | None = ranges.field(
    None,
    ranges.Range(
      lambda x: x in (None, 'float32', 'bfloat16'), 'float32 or bfloat16'
    ),
  )


def is_baseline_path(name: str) -> bool:
  """Returns whether `evaluation.mce_baseline` is a path, and no label."""
  return '/' in name or name.endswith(('.npz', '.json')) or '.json:' in name


def _all_differ(values):
  return len(set(values)) == len(values)


@dataclasses.dataclass
class EvaluationConfig(models.Settings):
  """The corrupted test sets to evaluate on.

  Attributes:
    corruptions: The names of the corruptions; `standard` for the 15 that
      published means cover, `extra` for the other 4, `all` for all 19, () for
      none.
    severities: The severities of the corruptions, out of 1..5.
    num_examples: The number of test images to corrupt, the first of them; 0 for
      all that are scored clean.
    source: Where corrupted images come from: empty to make them on the fly,
      `tfds` for TFDS's cifar10_corrupted, or a folder of CIFAR-10-C or
      CIFAR-100-C as published.
    frost: The pictures of ice in images that are made on the fly: `texture`,
      drawn by rule, or `photographs`, the published ones.
    benchmark: Whose constants images that are made on the fly have, `cifar_c`
      or `imagenet_c`; empty for `cifar_c` where a side has fewer than 64
      pixels, and `imagenet_c` otherwise.
    out_of_distribution: A dataset of other classes, whose test images are to be
      told from this one's by their entropy: `cifar100`, `svhn_cropped` or
      `cifar10`, where TFDS has prepared it, or the path of an `.npz` file;
      empty for the classes that `task.train_data.classes` leaves out, if any.
    mce_baseline: The model whose errors under each corruption those of all
      others are divided by, in a table of corruption errors with their mean,
      mCE (Hendrycks and Dietterich, 2019): the label of a system of the report,
      or the path (with a slash) of a run folder or a SavedModel, a
      `results.json`, or an `.npz` file of predictions; empty for no such table.
    temperature_examples: The number of training images, the last ones, to fit
      one temperature of each system to; the metrics `temperature` and
      `scaled_nll` are then known. Training must leave them out, by
      `task.train_data.num_examples`. 0 for none.
    conformal: The share of images whose prediction set may lack the right
      class, such as 0.1; the metrics `coverage` and `set_size` are then known,
      of sets that are calibrated on the same training images. 0 for no sets.
    conformal_method: How the sets are made: `lac`, `aps` or `raps`; see
      `metrics.PredictionSets`.
  """

  corruptions: tuple[str, ...] = ranges.field(
    ('standard',), ranges.Range(_all_differ, 'distinct names')
  )
  severities: tuple[int, ...] = ranges.field(
    (1, 2, 3, 4, 5),
    ranges.Range(
      lambda x: _all_differ(x) and set(x) <= {1, 2, 3, 4, 5},
      'distinct severities of 1 to 5',
    ),
  )
  num_examples: int = ranges.field(0, ranges.NOT_NEGATIVE)
  source: str = ''
  frost: str = 'texture'
  benchmark: str = ranges.field(
    '',
    ranges.Range(
      lambda x: x in ('', *ranges.BENCHMARKS), ' or '.join(ranges.BENCHMARKS)
    ),
  )
  out_of_distribution: str = ''
  mce_baseline: str = ''
  temperature_examples: int = ranges.field(0, ranges.NOT_NEGATIVE)
  conformal: float = ranges.field(0.0, ranges.BELOW_1)
  conformal_method: str = ranges.field(
    'lac', ranges.one_of(*metrics.SET_METHODS)
  )


@dataclasses.dataclass
class ExperimentConfig(models.Settings, cfg.ExperimentConfig):
  """A whole experiment; a run folder keeps it as `params.yaml`.

  Attributes:
    experiment: The registered name that it started from.
    task: What is learned.
    trainer: The length and the schedule of training.
    runtime: The devices.
    teacher: The teacher to train where none is given.
    evaluation: The corrupted test sets.
    check_labels: Whether to refuse a teacher, or a model to be scored, where
      another order of classes, another scale of the images or another reading
      of its outputs explains labelled images far better; if false, that is a
      warning.
  """

  experiment: str = ''
  task: TaskConfig = dataclasses.field(default_factory=TaskConfig)
  trainer: TrainerConfig = dataclasses.field(default_factory=TrainerConfig)
  runtime: RuntimeConfig = dataclasses.field(default_factory=RuntimeConfig)
  teacher: TeacherConfig = dataclasses.field(default_factory=TeacherConfig)
  evaluation: EvaluationConfig = dataclasses.field(
    default_factory=EvaluationConfig
  )
  check_labels: bool = True


@dataclasses.dataclass
class ResolvedConfig(ExperimentConfig):
  """An experiment that is checked, with every derived field filled in.

  `resolve` returns it, and a run folder keeps it.
  """
