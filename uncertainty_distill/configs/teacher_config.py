"""The teacher that is trained where none is given."""

from __future__ import annotations

import dataclasses

from official.modeling import hyperparams


@dataclasses.dataclass
class SearchConfig(hyperparams.Config):
  """A random search for a hyper-deep ensemble (Wenzel et al., 2020).

  Each run trains the teacher's network with an L2 for each block of layers
  (`task.block_l2`) and a label smoothing of its own, drawn independently and
  log-uniformly; the members are chosen among the runs by the NLL of examples
  that none of them has seen. Run 0 has the teacher's ordinary values.

  Attributes:
    num_runs: Networks to train; 0 for no search, 100 in the paper.
    held_out_fraction: The share of the training examples that the runs leave
      out and that chooses among them.
    l2_range: The least and the largest lambda, times the number of examples
      that are trained on.
    label_smoothing_range: The least and the largest.
  """

  num_runs: int = 0
  held_out_fraction: float = 0.05
  l2_range: tuple[float, ...] = (1e-2, 1e2)
  label_smoothing_range: tuple[float, ...] = (1e-5, 0.2)


@dataclasses.dataclass
class TeacherConfig(hyperparams.Config):
  """The deep ensemble that is trained where no teacher is given.

  Its members are single networks on the student's data; what is not named here
  is as for the student.

  Attributes:
    ensemble_size: Members M.
    depth: Of each member.
    width: Of each member.
    global_batch_size: Examples in a step over all replicas.
    epochs: Of each member's training.
    decay_fractions: Where the learning rate falls.
    l2: Of each member.
    search: Whether the members come from a search for hyper-parameters, which
      makes it a hyper-deep ensemble.
  """

  ensemble_size: int = 4
  depth: int = 28
  width: int = 10
  global_batch_size: int = 512
  epochs: float = 200.0
  decay_fractions: tuple[float, ...] = (0.3, 0.6, 0.8)
  l2: float = 2e-4
  search: SearchConfig = dataclasses.field(default_factory=SearchConfig)
