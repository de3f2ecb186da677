"""The results in a report's folder, and whether they are still valid."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

from uncertainty_distill import configs, data, metrics, trained, training
from uncertainty_distill.data import corruptions
from uncertainty_distill.errors import InputError
from uncertainty_distill.evaluation import results as results_lib
from uncertainty_distill.evaluation.system import (
  Evaluation,
  ModelSize,
  System,
)
from uncertainty_distill.io import files

_logger = logging.getLogger(__name__)

RESULTS_FILE = 'results.json'
# What the results were made from, so that only what changed is made again.
_SYSTEMS_FILE = 'systems.json'
_DATA = 'data:'
# To read a larger dataset of TFDS would take longer than many an evaluation.
_TFDS_LIMIT = 4 << 30


class ResultCache:
  """Results of systems that need not be evaluated again.

  `systems.json` says what `results.json` beside it was made from: the test
  images and, by content, the weights. It is an object with an entry for each
  system:
    made_from: A list of strings: the marks of the images, then the fingerprint
      of each part of the model. Older files have the names and times of the
      checkpoints in place of fingerprints; they are accepted where these agree.
    written: The names and times of the checkpoints: while they agree, the
      fingerprints need not be computed. Older files have none.
    members, parameters: The size, as in `ModelSize`.

  Attributes:
    systems: The systems.
    images: The marks of the test images.
    results: The results known so far.
    sizes: From labels of known systems to their sizes.
  """

  def __init__(
    self,
    directory: str,
    systems: Sequence[System],
    experiment: training.Experiment,
  ):
    """Reads the results of the systems that did not change.

    Args:
      directory: The report's folder, which need not be there.
      systems: The systems.
      experiment: The experiment, whose test set and corruptions count.

    Raises:
      InputError: If there is no trained model at a system's path.
    """
    self.systems: list[System] = list(systems)
    self.images: list[str] = _image_marks(experiment.config)
    self.results: list[results_lib.Result] = []
    self.sizes: dict[str, ModelSize] = {}
    self._path = os.path.join(directory, _SYSTEMS_FILE)
    self._fingerprints: dict[str, list[str]] = {}
    self._known: dict[str, ModelSize] = {}
    # Opened before anything is read, so that a mistake is not taken for damage.
    for system in systems:
      _ = system.model
    try:
      entries, results = _read(directory)
    except InputError as error:
      _logger.warning(
        f'{error.value} is damaged ({error.hint}): all systems are evaluated '
        'again'
      )
      entries, results = {}, []
    self._add_missing_data(entries)
    for system in systems:
      key, entry = system.key, entries.get(system.key)
      if entry and self._is_current(entry, system):
        self._known[key] = ModelSize(entry['members'], entry['parameters'])
        if 'written' in entry:
          self._fingerprints[key] = entry['made_from'][len(self.images) :]
    self.results = [r for r in results if r.key in self._known]
    self.sizes = {
      s.label: self._known[s.key] for s in systems if s.key in self._known
    }

  def missing(self, again: System | None = None) -> list[System]:
    """Returns the systems to evaluate.

    Args:
      again: A system to evaluate whether it is known or not.
    """
    if again and again.key in self._known:
      del self._known[again.key]
      self.results = [r for r in self.results if r.key != again.key]
    return [system for system in self.systems if system.key not in self._known]

  def add(self, found: Evaluation) -> None:
    """Adds new results; all are then in the order of the systems."""
    self.sizes |= found.sizes
    order = [system.key for system in self.systems]
    self.results = sorted(
      self.results + found.results, key=lambda r: (order.index(r.key), r.shift)
    )

  def write_results(self) -> None:
    """Writes both files, so that nothing is lost before there is a report.

    Raises:
      OSError: One cannot be written.
    """
    folder = os.path.dirname(self._path)
    results_lib.write_json(self.results, os.path.join(folder, RESULTS_FILE))
    self.write()

  def made_from(self, system: System) -> list[str]:
    """Returns the marks of the test images and the weights, by content."""
    if system.key not in self._fingerprints:
      self._fingerprints[system.key] = [
        part.fingerprint for part in system.model.parts
      ]
    return self.images + self._fingerprints[system.key]

  def is_of(self, system: System, marks: Sequence[str]) -> bool:
    """Returns whether something was made from a system as it is.

    Args:
      system: The system.
      marks: What it was made from: as `made_from` returns it, or with the times
        of checkpoints, as older versions did.
    """
    marks = self._with_data(list(marks))
    # In this order: the fingerprints may have to be computed.
    return marks == self.images + _times(
      system.model
    ) or marks == self.made_from(system)

  def _add_missing_data(self, entries: dict[str, dict[str, Any]]) -> None:
    """Marks what an older version noted as made from today's test images."""
    is_older = False
    for entry in entries.values():
      noted = entry['made_from']
      entry['made_from'] = self._with_data(list(noted))
      is_older |= len(entry['made_from']) > len(noted)
    if is_older:
      _logger.warning(
        f'{self._path} has no fingerprint of some test images: its results are '
        'taken as those of the images as they are now'
      )

  def _with_data(self, marks: list[str]) -> list[str]:
    """Returns what an older version noted with today's marks of the data."""
    undated = [m for m in self.images if not m.startswith(_DATA)]
    noted = [m for m in marks if m.startswith(_DATA)]
    others = [m for m in marks if not m.startswith(_DATA)]
    # Older versions noted some data or none; a dataset of TFDS that was removed
    # cannot contradict what was noted.
    known, today = set(noted), set(self.images) - set(undated)
    fits = known <= today or today <= known
    if fits and _with_absolute_paths(others[: len(undated)]) == undated:
      return self.images + others[len(undated) :]
    return marks

  def write(self) -> None:
    """Writes `systems.json`; `results.json` is the report's.

    Raises:
      OSError: The file cannot be written.
    """
    known = {result.key for result in self.results}
    entries = {
      system.key: {
        'made_from': self.made_from(system),
        'written': _times(system.model),
        'scaled': system.scaled,
        **dataclasses.asdict(self.sizes[system.label]),
      }
      # Of a teacher's stored predictions there may be no results.
      for system in self.systems
      if system.key in known
    }
    files.write_text(self._path, json.dumps(entries, indent=1))

  def _is_current(self, entry, system) -> bool:
    count = len(self.images)
    return (
      entry['made_from'][:count] == self.images
      # Older versions did not say.
      and entry.get('scaled', system.scaled) == system.scaled
      and _has_weights(entry, entry['made_from'][count:], system.model)
    )


def find_results(
  directory: str, model: trained.TrainedModel
) -> list[results_lib.Result]:
  """Returns the results that a folder has of a model, on whatever images.

  Args:
    directory: The folder of a report, which need not be there.
    model: The model.

  Returns:
    The results; empty if there are none of exactly these weights.
  """
  try:
    entries, results = _read(directory)
  except InputError:
    return []
  for key, entry in entries.items():
    marks = entry['made_from'][-len(model.parts) :]
    # An ensemble's last marks are those of its last member, too.
    if (
      not entry.get('scaled')
      and _has_weights(entry, marks, model)
      and entry['members'] == model.ensemble_size
    ):
      return [result for result in results if result.key == key]
  return []


def _has_weights(
  entry: Mapping[str, Any], marks: Sequence[str], model: trained.TrainedModel
) -> bool:
  """Returns whether an entry with some marks of weights is of a model."""
  return len(marks) == len(model.parts) and (
    entry.get('written') == _times(model)
    or all(part.has_fingerprint(mark) for part, mark in zip(model.parts, marks))
  )


def _times(model: trained.TrainedModel) -> list[str]:
  return [part.time_mark for part in model.parts]


def _read(
  directory: str,
) -> tuple[dict[str, dict[str, Any]], list[results_lib.Result]]:
  """Returns the entries of `systems.json` and all results, if there are any.

  Raises:
    InputError: A file is damaged.
  """
  systems, records = (
    os.path.join(directory, name) for name in (_SYSTEMS_FILE, RESULTS_FILE)
  )
  if not files.is_file(systems) or not files.is_file(records):
    return {}, []
  try:
    entries = json.loads(files.read_text(systems))
    for entry in entries.values():
      _ = entry['made_from'][0], entry['members'], entry['parameters']
  except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
    raise InputError(
      'systems file', systems, 'as this package writes it', str(error)
    ) from error
  return entries, results_lib.read_json(records)[0]


def _image_marks(config: configs.ExperimentConfig) -> list[str]:
  """Returns what tells sets of test images, and metrics, from others."""
  train_data = config.task.train_data
  # Older versions had none of these, so that their defaults leave no mark.
  lasting = [
    name
    for name in metrics.METRICS
    if name not in (*metrics.TEMPERATURE, *metrics.SETS, *metrics.LATER)
  ]
  chosen = {
    'image_size': list(train_data.image_size),
    'image_fit': train_data.image_fit.removeprefix('resize'),
    'train_split': train_data.train_split,
    'test_split': train_data.test_split,
    'test_fraction': train_data.test_fraction,
    'skip_broken': train_data.skip_broken,
    'test_from_training': train_data.test_from_training,
    'frost': config.evaluation.frost.removeprefix('texture'),
    'benchmark': _benchmark(config),
    'corrupted': config.evaluation.num_examples,
    'temperature': config.evaluation.temperature_examples,
    'conformal': config.evaluation.conformal
    and f'{config.evaluation.conformal:g} {config.evaluation.conformal_method}',
  }
  return [
    f'{train_data.name}:{config.task.validation_data.num_examples}',
    f'classes:{",".join(map(str, train_data.classes)) or "all"}',
    f'source:{config.evaluation.source}',
    f'out of distribution:{config.evaluation.out_of_distribution}',
    # Results of an older version lack some metrics, and are made again.
    f'figures:{",".join(lasting)}',
    *[f'{name}:{value}' for name, value in chosen.items() if value],
    *[shift.label for shift in data.parse_shifts(config.evaluation)],
    *_data_marks(config),
  ]


def _benchmark(config: configs.ExperimentConfig) -> str:
  """Returns the benchmark of images that are made; empty for the first one."""
  if config.evaluation.source:
    return ''
  shape = config.task.model.image_shape
  chosen = corruptions.choose_benchmark(config.evaluation.benchmark, shape)
  return chosen.removeprefix('cifar_c')


def _with_absolute_paths(marks: Sequence[str]) -> list[str]:
  """Returns the marks of images with absolute paths; older ones had others."""
  found = list(marks)
  for index, mark in enumerate(marks[:4]):
    before, _, after = mark.partition(':')
    if before.endswith('.npz'):
      found[index] = f'{files.absolute(before)}:{after}'
    elif after.endswith('.npz') or (
      before == 'source' and after not in ('', 'tfds')
    ):
      found[index] = f'{before}:{files.absolute(after)}'
  return found


def _data_marks(config: configs.ExperimentConfig) -> list[str]:
  """Returns the fingerprints of images that users may replace."""
  train_data = config.task.train_data
  other = config.evaluation.out_of_distribution
  marks = []
  if configs.is_path(train_data.name):
    dataset = data.open_configured(train_data)
    marks.append(dataset.test.fingerprint)
    if config.evaluation.temperature_examples:
      marks.append(dataset.train.fingerprint)
  if configs.is_path(other):
    images = data.open_out_of_distribution(
      other, train_data.data_dir, train_data.image_size, train_data.image_fit
    )
    marks.append(images.fingerprint)
  corrupted = data.corrupted_files(config.evaluation)
  if corrupted:
    folder = config.evaluation.source
    marks.append(trained.files_digest(folder, corrupted))
  marks += [
    trained.files_digest(folder, size_limit=_TFDS_LIMIT)
    for folder in data.prepared_folders(config)
  ]
  return [f'{_DATA}{mark}' for mark in marks]
