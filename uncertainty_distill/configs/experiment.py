"""What an experiment is made of, field by field.

Lengths of training are in epochs, and its milestones are fractions of training,
so that another batch size or a shorter run keeps the shape of the schedule. A
value of 0 or () that is said to be derived is filled in by `resolve`.
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

# The value of `initialize_from` that stands for the teacher's folders. A folder
# of this name is written `./teacher`.
FROM_TEACHER = ('teacher',)


@dataclasses.dataclass
class ObjectiveConfig(models.Settings):
  """The loss of an example, averaged over the student's members.

  (1 - weight) * cross-entropy + weight * temperature^2 * KL(teacher||student);
  only the cross-entropy if there is no teacher. With images without labels
  (`task.train_data.unlabeled`), the cross-entropy is the mean over the labeled
  images of a batch, and KL is the mean over all images of the batch.

  Attributes:
    kind: `cross_entropy` (no teacher); `knowledge`: every member learns the
      mean of the teacher's probabilities; `head`: member i learns the
      probabilities of the teacher's member i.
    weight: The weight of the distillation term.
    temperature: The temperature of the teacher's and the student's softmax in
      the distillation term.
    label_smoothing: The share of each label in the cross-entropy that is spread
      over all classes.
    teacher: Folders of the teacher's runs or SavedModels, or files of its
      stored predictions; their members are stacked.
    teacher_cache: A folder for teachers' logits of augmented views. Missing
      logits are computed and added, and any number of students can share the
      folder. Empty to run the teacher in every step. Logits are computed in
      float32, whatever the run computes in, and stored in float16.
    teacher_temperature: One temperature that calibrates the teacher before its
      probabilities are taken: for `knowledge` it is the temperature of the
      members' mean, for `head` of every member. `fit` fits it to the training
      images that neither teacher nor student is trained on
      (`task.train_data.held_out_fraction`, `evaluation.temperature_examples`);
      the run's `data.yaml` has the fitted value.
    mixup: The a of Beta(a, a), from which the weights are drawn that mix each
      image with another one; 0 for no mixing. The teacher is asked about the
      mixed image (function matching, Beyer et al., 2022). A mixed image has no
      label, so `weight` must be 1, or `cross_entropy_images` must be `clean`.
    perturbation: How the teacher's input gradient changes each image to one on
      which the teacher's members differ: `none`, `ods`, or `conf_ods`, which
      changes images less where the teacher is unsure (Nam et al., 2021).
    perturbation_size: The root mean square of the change, in gray levels.
    perturbation_temperature: The temperature of the teacher's softmax of which
      the gradient is taken.
    perturbation_share: The share of the images that are changed.
    cross_entropy_images: The images of the cross-entropy if images are mixed or
      changed: `view` for the images that the teacher sees, or `clean` for the
      images before mixing and change, which cost the student a second pass.
    weight_tie: The weight of the squared distance between member i's kernels
      and the kernels of the teacher's member i, which must be a plain network
      of the student's architecture.
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
  def uses_teacher(self) -> bool:
    """Whether the loss has a distillation term."""
    return self.kind != 'cross_entropy'

  @property
  def has_clean_pass(self) -> bool:
    """Whether the student sees clean images in addition to the views."""
    is_other = self.mixup > 0 or self.perturbation != 'none'
    return is_other and self.cross_entropy_images == 'clean'


@dataclasses.dataclass
class TaskConfig(models.Settings):
  """Image classification by an ensemble.

  Attributes:
    model: The network.
    train_data: The training examples.
    validation_data: The test examples.
    objective: The loss.
    l2: lambda of lambda * sum(w^2) over kernels, BatchNorm's scales and
      offsets, and biases, but not over alpha, gamma and depthwise kernels.
    block_l2: Instead of `l2`, a lambda for each group of the architecture. A
      Wide ResNet has six: the first convolution; the groups 0, 1 and 2 with
      their BatchNorms; the dense kernel with the last BatchNorm; the dense
      bias. () for `l2` everywhere.
    fast_weight_learning_rate_multiplier: The factor of the learning rate of
      alpha and gamma. A factor of E undoes the mean over members, as in
      LatentBE. The factor scales the gradients of alpha and gamma, so an
      optimizer that clips gradients sees the scaled ones.
    fast_weight_decay: lambda of lambda / E * sum((1 - alpha)^2 + (1 - gamma)^2)
      over all members, which draws the members towards one network (LatentBE;
      Nam et al. 2022).
    initialize_from: Run folders of plain networks of the model's architecture,
      one for each member. Training starts from the BatchEnsemble that is
      nearest to these networks, layer by layer, with a penalty that keeps its
      weights from being huge, and from the mean of the networks' BatchNorms.
      `teacher` alone stands for the teacher's folders; () for random weights.
    initialize_aligned: Whether to first put each network's neurons into the
      order in which its weights are most like the first network's weights.
    seed: The seed of the initial weights, the order of the examples and the
      augmentation.
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
  """Model Garden's trainer, with lengths that are derived from epochs.

  A derived length can also be set, in steps. `optimizer_config` is derived from
  the values below unless it is set.

  Attributes:
    epochs: The number of passes over the training examples.
    base_learning_rate: The learning rate for 128 distinct examples in a step;
      it grows linearly with the batch size.
    momentum: The momentum of SGD, in Nesterov's form.
    warmup_epochs: The number of epochs over which the learning rate rises
      linearly from 0.
    decay_fractions: The fractions of training at which the learning rate falls.
    decay_rate: The factor by which the learning rate falls.
    train_steps: The steps of training; derived.
    steps_per_loop: The steps between two reports of training; derived.
    summary_interval: The steps between points of a curve; derived.
    checkpoint_interval: The steps between checkpoints; derived.
    validation_interval: The steps between evaluations; derived.
    validation_steps: The batches of an evaluation; -1 for all.
    recovery_max_trials: How often in a run to return to the last checkpoint,
      and continue with a lower learning rate, when numbers become non-finite
      (inf or NaN); 0 to stop instead.
    recovery_learning_rate_factor: The factor of the learning rate at each
      return.
    loss_upper_bound: A mean loss above this bound counts as infinite.
    recovery_begin_steps: The first step whose loss is compared with
      `loss_upper_bound`.
    max_to_keep: How many checkpoints to keep; an older one is used when the
      newest is damaged.
    validation_summary_subdir: The subfolder for the curves of the clean test
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
      lambda x: x >= 2,
      'at least 2, so that a damaged checkpoint does not lose the whole run',
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
    num_threads: The number of threads of TensorFlow's operations, of OpenMP and
      of BLAS in a process; 0 for one on each core. Results are the same to the
      bit for the same number of threads; another number may add in another
      order.
    mixed_precision_dtype: The type that networks compute in; by default
      bfloat16 on a TPU, and float32 otherwise.
  """

  num_threads: int = ranges.field(0, ranges.NOT_NEGATIVE)
  mixed_precision_dtype: str | None = ranges.field(
    None,
    ranges.Range(
      lambda x: x in (None, 'float32', 'bfloat16'), 'float32 or bfloat16'
    ),
  )


def is_baseline_path(name: str) -> bool:
  """Returns whether `evaluation.mce_baseline` is a path instead of a label."""
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
    num_examples: How many test images to corrupt, the first ones; 0 for all
      test images that are scored clean.
    source: The source of corrupted images: empty to make them on the fly,
      `tfds` for TFDS's cifar10_corrupted, or a folder of CIFAR-10-C or
      CIFAR-100-C as published.
    frost: The pictures of ice for the corruption `frost` of images that are
      made on the fly: `texture`, drawn by rule, or `photographs`, the published
      ones.
    benchmark: The benchmark whose constants are used for images that are made
      on the fly, `cifar_c` or `imagenet_c`; empty for `cifar_c` if a side has
      fewer than 64 pixels, and for `imagenet_c` otherwise.
    out_of_distribution: A dataset of other classes. Evaluation measures how
      well the entropy, the confidence and the mutual information tell its
      images from the test images. It is `cifar10`, `cifar100`, `svhn_cropped`
      or `tfds:NAME`, if TFDS has prepared it; `digits`; or the path of an
      `.npz` file with `images` or `test_images`, or of a folder of pictures.
      Empty for the classes that `task.train_data.classes` leaves out, if any.
    mce_baseline: The baseline of a table of corruption errors. The table
      divides the errors of all other models under each corruption by the
      baseline's errors, and shows the mean, mCE (Hendrycks and Dietterich,
      2019). The baseline is the label of a system of the report, or the path
      (with a slash) of a run folder or a SavedModel, a `results.json`, or an
      `.npz` file of predictions; empty for no such table.
    temperature_examples: The number of training images, the last ones, to fit
      one temperature of each system to; 0 for none. This adds the metrics
      `temperature` and `scaled_nll`. Training must leave these images out, by
      `task.train_data.num_examples`.
    conformal: The share of images whose prediction set may lack the right
      class, such as 0.1; 0 for no sets. The sets are calibrated on the images
      of `temperature_examples`, and add the metrics `coverage` and `set_size`.
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
      'distinct severities from 1 to 5',
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
    experiment: The registered name of the experiment that this one started
      from.
    task: The learning task.
    trainer: The length and the schedule of training.
    runtime: The devices.
    teacher: The teacher to train if none is given.
    evaluation: The corrupted test sets.
    check_labels: Whether to refuse a teacher, or a model to be scored, if
      another order of classes, another scale of the images or another reading
      of its outputs explains labeled images far better; if false, this is only
      a warning.
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
  """A checked experiment, with every derived field filled in.

  `resolve` returns it, and a run folder keeps it.
  """
