"""The teacher that is trained where none is given."""

from __future__ import annotations

import dataclasses

from official.modeling import hyperparams


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
  """

  ensemble_size: int = 4
  depth: int = 28
  width: int = 10
  global_batch_size: int = 512
  epochs: float = 200.0
  decay_fractions: tuple[float, ...] = (0.3, 0.6, 0.8)
  l2: float = 2e-4
