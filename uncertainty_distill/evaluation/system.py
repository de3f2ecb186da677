"""Systems under evaluation: trained models with their names in reports."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Iterable

from uncertainty_distill import configs, plots, trained
from uncertainty_distill.evaluation.results import system_key


@dataclasses.dataclass(frozen=True)
class System:
  """A trained system: one run, or several runs that form a deep ensemble.

  Attributes:
    label: The name in results, such as `deep_ensemble`.
    seed: The seed of its training, or None.
    paths: Its run folders or SavedModels. A teacher may instead have files of
      stored predictions.
    scaled: Whether to score the system at the temperature that is fitted to it.
    merged: Whether to score the plain network that merges its members.
  """

  label: str
  seed: int | None
  paths: tuple[str, ...]
  scaled: bool = False
  merged: bool = False

  @property
  def key(self) -> str:
    """The system's name in files, which is made of its label and seed."""
    return system_key(self.label, self.seed)

  @property
  def heading(self) -> str:
    """The name that is shown to readers."""
    name = plots.display_name(self.label)
    return name if self.seed is None else f'{name} (seed {self.seed})'

  @functools.cached_property
  def model(self) -> trained.TrainedModel:
    """The model, which is opened when it is first used.

    Raises:
      InputError: If there is no trained model at one of the paths, or if its
        members cannot be merged.
    """
    model = trained.open_trained(self.paths, 'path')
    return trained.merge_members(model) if self.merged else model

  @property
  def is_stored(self) -> bool:
    """Whether only predictions of the system are known."""
    return any(map(trained.is_predictions, self.paths))

  @property
  def runs(self) -> list[trained.Run]:
    """The runs among the parts of the model."""
    return [p for p in self.model.parts if isinstance(p, trained.Run)]


def by_runs(systems: Iterable[System]) -> list[list[System]]:
  """Groups systems of the same runs, which should be evaluated together.

  Scored at a temperature or not, they share a network.
  """
  groups: dict[tuple[str, ...], list[System]] = {}
  for system in systems:
    groups.setdefault(system.paths, []).append(system)
  return list(groups.values())


def default_experiment(
  model: trained.TrainedModel,
) -> configs.ExperimentConfig | None:
  """Returns the experiment whose test set a model is evaluated on by default.

  This is the experiment of the model's first run, but with the devices of this
  machine and with label checks. The devices that trained the run do not matter
  to its evaluation, nor does its own `check_labels`, which was about its
  teacher, nor a baseline of corruption errors that was another system of its
  report. None if the model has no run.
  """
  config = copy.deepcopy(model.config)
  if config:
    config.check_labels = True
    config.runtime = configs.ExperimentConfig().runtime
    if not configs.is_baseline_path(config.evaluation.mce_baseline):
      config.evaluation.mce_baseline = ''
  return config
