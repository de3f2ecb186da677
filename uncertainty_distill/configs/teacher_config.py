"""The teacher that is trained if none is given."""

from __future__ import annotations

import dataclasses

from uncertainty_distill import models, ranges
from uncertainty_distill.configs.model_config import NetworkConfig

INCREASING_FRACTIONS = ranges.Range(
  lambda x: all(0 < f < 1 for f in x) and list(x) == sorted(set(x)),
  'increasing fractions between 0 and 1',
)


@dataclasses.dataclass
class SearchConfig(models.Settings):
  """A random search for a hyper-deep ensemble (Wenzel et al., 2020).

  Each run trains the teacher's network with its own L2 for each group of layers
  (`task.block_l2`) and its own label smoothing, drawn independently and
  log-uniformly. The members are chosen among the runs by the NLL of examples
  that no run has seen. Run 0 has the teacher's ordinary values.

  Attributes:
    num_runs: The number of networks to train; 0 for no search, 100 in the
      paper.
    held_out_fraction: The share of the training examples that the runs leave
      out. The members are chosen by their NLL on these examples.
    l2_range: The least and the largest product of lambda and the number of
      examples that are trained on.
    label_smoothing_range: The least and the largest label smoothing.
  """

  num_runs: int = ranges.field(
    # With more runs, the teachers of two students could have runs of one seed.
    0,
    ranges.Range(lambda x: 0 <= x <= 1000, 'from 0 to 1000'),
  )
  held_out_fraction: float = ranges.field(
    0.05, ranges.Range(lambda x: 0 < x < 1, 'more than 0 and less than 1')
  )
  l2_range: tuple[float, ...] = ranges.field(
    (1e-2, 1e2),
    ranges.Range(
      lambda x: len(x) == 2 and 0 < x[0] <= x[1],
      'a smallest and a largest value, both more than 0',
    ),
  )
  label_smoothing_range: tuple[float, ...] = ranges.field(
    (1e-5, 0.2),
    ranges.Range(
      lambda x: len(x) == 2 and 0 < x[0] <= x[1] < 1,
      'a smallest and a largest value, both between 0 and 1',
    ),
  )


@dataclasses.dataclass
class TeacherConfig(NetworkConfig):
  """The deep ensemble that is trained if no teacher is given.

  Its members are single networks on the student's data; all else is as for the
  student.

  Attributes:
    architecture: The architecture of each member.
    ensemble_size: The number of members M.
    global_batch_size: The number of examples in a step, over all replicas.
    epochs: The number of passes of each member over the training examples.
    decay_fractions: The fractions of training at which the learning rate falls.
    l2: lambda of each member's L2.
    search: The search for hyperparameters that the members come from, if any.
      It makes the teacher a hyper-deep ensemble.
  """

  # The metadata `sets` names the field of a member's experiment that a field
  # here fills.
  architecture: models.ArchitectureChoice = dataclasses.field(
    default_factory=models.ArchitectureChoice,
    metadata={'sets': 'task.model.architecture'},
  )
  ensemble_size: int = ranges.field(4, ranges.AT_LEAST_1)
  global_batch_size: int = ranges.field(
    512, ranges.AT_LEAST_1, sets='task.train_data.global_batch_size'
  )
  epochs: float = ranges.field(200.0, ranges.POSITIVE, sets='trainer.epochs')
  decay_fractions: tuple[float, ...] = ranges.field(
    (0.3, 0.6, 0.8), INCREASING_FRACTIONS, sets='trainer.decay_fractions'
  )
  l2: float = ranges.field(2e-4, ranges.NOT_NEGATIVE, sets='task.l2')
  search: SearchConfig = dataclasses.field(default_factory=SearchConfig)
