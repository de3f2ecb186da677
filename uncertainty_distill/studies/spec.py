"""What a study is made of: teachers, systems, seeds, tables and figures."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from uncertainty_distill import configs, errors, reports
from uncertainty_distill.errors import InputError

# The teacher of a study that names none.
TEACHER = 'deep_ensemble'

FIGURE_KINDS = ('ensemble_size', 'learning_curves', 'reconstruction')


@dataclasses.dataclass(frozen=True)
class Table:
  """A table of systems.

  Attributes:
    name: The name, such as `table_1`.
    title: The heading.
    rows: Labels of teachers and systems.
    paper: The paper's tables to compare with, such as `cifar10.table_1`.
    compared_with: Labels of systems, for each of which a further table has the
      differences of all rows from it.
  """

  name: str
  title: str
  rows: tuple[str, ...]
  paper: tuple[str, ...] = ()
  compared_with: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Figure:
  """A figure of systems.

  Attributes:
    name: The name of the figure, such as `figure_1`, and of its file.
    title: The heading.
    kind: One of `FIGURE_KINDS`.
    systems: Labels of the systems that it shows; for a reconstruction, labels
      of teachers.
    ranks: The ranks of a reconstruction.
    aligned: Whether a reconstruction is also shown with each member's neurons
      put into the order of the first member's.
  """

  name: str
  title: str
  kind: str
  systems: tuple[str, ...]
  ranks: tuple[int, ...] = (1,)
  aligned: bool = False


@dataclasses.dataclass(frozen=True)
class Study:
  """A study, read and checked.

  Attributes:
    title: The heading of the report.
    config: The experiment that all systems share, not resolved.
    seeds: The seeds of the systems.
    main_teacher: The label of the teacher of all systems that name no other.
      The experiment may give its run folders.
    teachers: From labels to overrides of the experiment's `teacher`.
    systems: From labels to overrides of `config`.
    teacher_of: From systems' labels to their teachers'.
    temperature_scaled: From new labels to the systems and teachers that are
      also evaluated at the temperature that is fitted to them.
    merged: From new labels to the systems that are also evaluated as the one
      plain network that merges their members.
    tables: The tables to print, by name.
    figures: The figures to draw, by name.
    claims: The claims to decide, by name.
    export: The label of the system to export; empty for none.
    part_of: The study that this one is a part of; None for a whole one.
  """

  title: str
  config: configs.ExperimentConfig
  seeds: tuple[int, ...]
  main_teacher: str
  teachers: Mapping[str, Mapping[str, Any]]
  systems: Mapping[str, Mapping[str, Any]]
  teacher_of: Mapping[str, str]
  temperature_scaled: Mapping[str, str]
  merged: Mapping[str, str]
  tables: Mapping[str, Table]
  figures: Mapping[str, Figure]
  claims: Mapping[str, reports.Claim]
  export: str
  part_of: Study | None = None

  @property
  def whole(self) -> Study:
    """The study that this one is a part of, or itself."""
    return self.part_of or self

  @property
  def derived(self) -> dict[str, str]:
    """From labels without runs of their own to those whose runs they use."""
    return {**self.temperature_scaled, **self.merged}

  def teacher_config(self, label: str) -> configs.ExperimentConfig:
    """Returns the experiment that describes a teacher, not resolved.

    Raises:
      InputError: If the teacher's overrides are wrong.
    """
    config = copy.deepcopy(self.config)
    # A part of a study lacks the teachers that none of its systems needs.
    overrides = {'teacher': self.teachers.get(label, {})}
    configs.override(config, overrides, f'teachers.{label}')
    return config

  def system_config(self, label: str, seed: int) -> configs.ExperimentConfig:
    """Returns the experiment of one system and seed, not resolved.

    Raises:
      InputError: If the system's overrides are wrong.
    """
    config = self.teacher_config(self.teacher_of[label])
    configs.override(config, self.systems[label], f'systems.{label}')
    config.task.seed = seed
    return config

  def given_teacher(self, label: str) -> tuple[str, ...]:
    """Returns the folders of a given teacher; () for one that is trained."""
    if label != self.main_teacher:
      return ()
    return tuple(self.config.task.objective.teacher)

  def needs_teacher(self, label: str) -> bool:
    """Returns whether the training of a system needs its teacher."""
    task = self.system_config(label, self.seeds[0]).task
    return (
      task.objective.uses_teacher
      or task.initialize_from == configs.FROM_TEACHER
    )

  def select(self, names: Iterable[str]) -> Study:
    """Returns the part of the study that some names select.

    Args:
      names: The names of tables, figures, teachers and systems.

    Raises:
      InputError: If a name is unknown.
    """
    wanted = set()
    models = {**self.teachers, **self.systems, **self.derived}
    known = {**self.tables, **self.figures, **models}
    for name in names:
      if name not in known:
        raise InputError(
          'only',
          name,
          f'one of {", ".join(known)}',
          errors.nearest(name, list(known)),
        )
      part = known[name]
      if isinstance(part, Table):
        wanted |= {name, *part.rows}
      elif isinstance(part, Figure):
        wanted |= {name, *part.systems}
      else:
        wanted.add(name)
    wanted |= set(_among(self.derived, wanted).values())
    systems = _among(self.systems, wanted)
    wanted |= {
      self.teacher_of[label] for label in systems if self.needs_teacher(label)
    }
    teachers = _among(self.teachers, wanted)
    kept = {**teachers, **systems}
    return dataclasses.replace(
      self,
      teachers=teachers,
      systems=systems,
      temperature_scaled=_based_on(kept, self.temperature_scaled),
      merged=_based_on(kept, self.merged),
      tables=_among(self.tables, wanted),
      figures=_among(self.figures, wanted),
      export=self.export if self.export in systems else '',
      part_of=self.whole,
    )

  def select_seeds(self, seeds: Collection[int]) -> Study:
    """Returns the part of the study that has some of its seeds.

    Raises:
      InputError: If the study lacks one of them.
    """
    if unknown := sorted(set(seeds) - set(self.seeds)):
      known = ', '.join(map(str, self.seeds))
      raise InputError('seeds', unknown[0], f'some of {known}')
    kept = tuple(seed for seed in self.seeds if seed in seeds)
    return dataclasses.replace(self, seeds=kept, part_of=self.whole)


def _based_on(
  kept: Collection[str], derived: Mapping[str, str]
) -> dict[str, str]:
  return {label: base for label, base in derived.items() if base in kept}


def _among(parts: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
  return {name: part for name, part in parts.items() if name in names}
