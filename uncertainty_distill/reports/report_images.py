"""The images that a report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from uncertainty_distill import data, evaluation, plots, trained, training
from uncertainty_distill.evaluation.system import System
from uncertainty_distill.reports import (
  corrupted_image,
  most_uncertain,
  provenance,
)

import numpy as np


def choose_student(systems: Sequence[System], label: str) -> System | None:
  """Returns the system to show, the first seed of several.

  Args:
    systems: All that are evaluated.
    label: Of the wanted one; where there is none of it, the last system is
      taken that is no stored predictions.
  """
  models = [s for s in systems if not trained.are_predictions(s.paths, 'path')]
  if not models:
    return None
  wanted = [s for s in models if s.label == label]
  wanted = wanted or [s for s in models if s.label == models[-1].label]
  return wanted[0]


def most_uncertain_images(
  system: System | None,
  candidates: Sequence[evaluation.Candidate],
  evaluator: evaluation.Evaluator,
  dataset: data.ImageSource,
) -> most_uncertain.MostUncertain | None:
  """Returns the images that a system is least sure of.

  Args:
    system: To show; None for none.
    candidates: What was evaluated, perhaps the system among them.
    evaluator: That has scored them.
    dataset: The clean test examples.

  Returns:
    None where the system is not among the candidates.
  """
  for candidate, entropies in zip(candidates, evaluator.entropies, strict=True):
    if system and (candidate.label, candidate.seed) == (
      system.label,
      system.seed,
    ):
      return most_uncertain.find(candidate, dataset, np.asarray(entropies))
  return None


def read_most_uncertain(
  directory: str, system: System | None, made_from: Mapping[str, list[str]]
) -> most_uncertain.MostUncertain | None:
  """Returns the images that a report's folder has of a system.

  Args:
    directory: The folder.
    system: To show; None for none.
    made_from: From systems' keys to the weights and test sets that the images
      should be of.
  """
  return system and most_uncertain.read(
    directory, system.key, made_from[system.key]
  )


def write_most_uncertain(
  directory: str,
  system: System | None,
  made_from: Mapping[str, list[str]],
  found: most_uncertain.MostUncertain | None,
) -> None:
  """Keeps images for `read_most_uncertain`, if some were found."""
  if system and found:
    most_uncertain.write(found, directory, system.key, made_from[system.key])


def name_of(system: System) -> str:
  """Returns a system's name for readers."""
  text = plots.display_name(system.label)
  return text if system.seed is None else f'{text} (seed {system.seed})'


def find_corrupted_image(
  directory: str, experiment: training.Experiment
) -> corrupted_image.CorruptedImage:
  """Returns a test image under the corruptions that are evaluated on.

  Args:
    directory: Of the report, which keeps it.
    experiment: The experiment.

  Raises:
    InputError: The images cannot be had.
  """
  made_from = provenance.fingerprint((), experiment.config)
  kept = corrupted_image.read(directory, made_from)
  if kept:
    return kept
  sets = experiment.evaluation_sets
  found = corrupted_image.find(sets.corrupted, sets.shifts)
  corrupted_image.write(found, directory, made_from)
  return found
