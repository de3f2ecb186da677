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
from uncertainty_distill.evaluation.system import System
from uncertainty_distill.evaluation.system_evaluation import (
  Evaluation,
  ModelSize,
)
from uncertainty_distill.io import files

_logger = logging.getLogger(__name__)

RESULTS_FILE = 'results.json'
# Notes what the results were made from, so that only systems that changed are
# evaluated again.
_SYSTEMS_FILE = 'systems.json'
_DATA = 'data:'
# In bytes. Reading a larger dataset of TFDS takes longer than many evaluations.
_TFDS_LIMIT = 4 << 30


class ResultCache:
  """Results of systems that need not be evaluated again.

  `systems.json` says what the `results.json` in the same folder was made from:
  the test images, and the weights by their content. It is an object with an
  entry for each system:
    made_from: A list of strings: the marks of the images, then the fingerprint
      of each part of the model. Older files have the names and times of the
      checkpoints in place of fingerprints. They are accepted if these agree.
    written: The names and times of the checkpoints. While these agree, the
      fingerprints need not be computed. Older files do not have this field.
    scaled: Whether the system was scored at its temperature. Older files do not
      have this field.
    members, parameters: The size, as in `ModelSize`.

  Attributes:
    systems: The systems.
    images: The marks of the test images, which are strings that identify them.
    results: The results known so far.
    sizes: From labels of known systems to their sizes.
  """

  def __init__(
    self,
    directory: str,
    systems: Sequence[System],
    experiment: training.Experiment,
  ):
    """Reads the results of the systems that have not changed.

    Args:
      directory: The report's folder, which need not exist.
      systems: The systems.
      experiment: The experiment, which gives the test set and the corruptions.

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
    # Models are opened before files are read, so that a mistake in a path is
    # not taken for a damaged file.
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
    with_results = {result.key for result in results}
    for system in systems:
      key, entry = system.key, entries.get(system.key)
      # A call that was killed may have left results of some systems only.
      if entry and key in with_results and self._is_current(entry, system):
        self._known[key] = ModelSize(entry['members'], entry['parameters'])
        if 'written' in entry:
          self._fingerprints[key] = entry['made_from'][len(self.images) :]
    self.results = [r for r in results if r.key in self._known]
    self.sizes = {
      s.label: self._known[s.key] for s in systems if s.key in self._known
    }
    # The systems of which the two files agree.
    self._listed = set(self._known)

  def forget(self, system: System) -> None:
    """Drops the results of a system, if there are any."""
    if self._known.pop(system.key, None):
      self._listed.remove(system.key)
      self.results = [r for r in self.results if r.key != system.key]

  def missing(self) -> list[System]:
    """Returns the systems to evaluate."""
    return [system for system in self.systems if system.key not in self._known]

  def add(self, found: Evaluation) -> None:
    """Adds new results, and sorts all results by the order of the systems."""
    self.sizes |= found.sizes
    order = [system.key for system in self.systems]
    self.results = sorted(
      self.results + found.results, key=lambda r: (order.index(r.key), r.shift)
    )

  def save(self) -> None:
    """Writes both files, so that results are safe before the report is made.

    Raises:
      OSError: A file cannot be written.
    """
    entries = self._entries()  # Reads the weights, before any file changes.
    # If the call ends between two files, new results must not pass for earlier
    # ones of other images or weights.
    self._write({key: entries[key] for key in entries if key in self._listed})
    folder = os.path.dirname(self._path)
    results_lib.write_json(self.results, os.path.join(folder, RESULTS_FILE))
    self._write(entries)
    self._listed = set(entries)

  def made_from(self, system: System) -> list[str]:
    """Returns the marks of the test images and the weights' fingerprints."""
    if system.key not in self._fingerprints:
      self._fingerprints[system.key] = [
        part.fingerprint for part in system.model.parts
      ]
    return self.images + self._fingerprints[system.key]

  def is_of(self, system: System, marks: Sequence[str]) -> bool:
    """Returns whether something was made from a system as it is now.

    Args:
      system: The system.
      marks: The marks of what it was made from, as `made_from` returns them.
        Marks of older versions have the times of checkpoints in place of
        fingerprints.
    """
    marks = self._with_data(list(marks))
    # The times come first, since the fingerprints may have to be computed.
    return marks == self.images + _times(
      system.model
    ) or marks == self.made_from(system)

  def _add_missing_data(self, entries: dict[str, dict[str, Any]]) -> None:
    """Adds the marks of today's data to the entries of an older version."""
    is_older = False
    for entry in entries.values():
      noted = entry['made_from']
      entry['made_from'] = self._with_data(list(noted))
      is_older |= len(entry['made_from']) > len(noted)
    if is_older:
      _logger.warning(
        f'{self._path} has no fingerprint of some test images: its results '
        'are assumed to be those of the current images'
      )

  def _with_data(self, marks: list[str]) -> list[str]:
    """Returns marks; older ones are completed by today's marks of the data."""
    undated = [m for m in self.images if not m.startswith(_DATA)]
    noted = [m for m in marks if m.startswith(_DATA)]
    others = [m for m in marks if not m.startswith(_DATA)]
    # Older versions noted only some of the data, or none. A dataset of TFDS
    # that was removed has no mark today, and cannot contradict noted marks.
    known, today = set(noted), set(self.images) - set(undated)
    fits = known <= today or today <= known
    if fits and _with_absolute_paths(others[: len(undated)]) == undated:
      return self.images + others[len(undated) :]
    return marks

  def save_systems(self) -> None:
    """Writes `systems.json` alone; the report writes `results.json`.

    Raises:
      OSError: The file cannot be written.
    """
    self._write(self._entries())

  def _write(self, entries: dict[str, dict[str, Any]]) -> None:
    files.write_text(self._path, json.dumps(entries, indent=1))

  def _entries(self) -> dict[str, dict[str, Any]]:
    """Returns the entries of the systems that have results."""
    known = {result.key for result in self.results}
    return {
      system.key: {
        'made_from': self.made_from(system),
        'written': _times(system.model),
        'scaled': system.scaled,
        **dataclasses.asdict(self.sizes[system.label]),
      }
      # A teacher's stored predictions may have no results.
      for system in self.systems
      if system.key in known
    }

  def _is_current(self, entry, system) -> bool:
    count = len(self.images)
    return (
      entry['made_from'][:count] == self.images
      # Older versions did not note it.
      and entry.get('scaled', system.scaled) == system.scaled
      and _has_weights(entry, entry['made_from'][count:], system.model)
    )


def find_results(
  directory: str, model: trained.TrainedModel
) -> list[results_lib.Result]:
  """Returns the results of a model in a folder.

  Args:
    directory: The folder of a report, which need not exist.
    model: The model.

  Returns:
    The results; empty if there are none of exactly these weights, or only on
    another dataset than the model was trained on.
  """
  try:
    entries, results = _read(directory)
  except InputError:
    return []
  for key, entry in entries.items():
    marks = entry['made_from'][-len(model.parts) :]
    # The last marks of an ensemble are also those of its last members, so the
    # sizes must agree, too.
    if (
      not entry.get('scaled')
      and _has_weights(entry, marks, model)
      and entry['members'] == model.ensemble_size
      and _has_dataset(entry, model)
    ):
      return [result for result in results if result.key == key]
  return []


def _has_dataset(entry: Mapping[str, Any], model: trained.TrainedModel) -> bool:
  """Returns whether a model was evaluated on its own dataset, if known."""
  if not model.config:
    return True
  own = model.config.task.train_data.name
  name, _, _ = entry['made_from'][0].rpartition(':')
  # Only the last parts are compared, since folders may have been moved.
  return os.path.basename(name) == os.path.basename(own)


def _has_weights(
  entry: Mapping[str, Any], marks: Sequence[str], model: trained.TrainedModel
) -> bool:
  """Returns whether an entry and its marks of weights belong to a model."""
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
      'systems file', systems, 'a file that this package wrote', str(error)
    ) from error
  return entries, results_lib.read_json(records)[0]


def _image_marks(config: configs.ExperimentConfig) -> list[str]:
  """Returns the marks that identify the test images and the metrics."""
  train_data = config.task.train_data
  # Older versions had neither the metrics that are left out here nor the
  # options in `chosen`. So these metrics and the options' defaults leave no
  # mark.
  lasting = [
    name
    for name in metrics.METRICS
    if name not in (*metrics.TEMPERATURE, *metrics.SETS, *metrics.LATER)
  ]
  chosen = {
    'image_size': list(train_data.image_size),
    'image_fit': _unless('resize', train_data.image_fit),
    'train_split': train_data.train_split,
    'test_split': train_data.test_split,
    'test_fraction': train_data.test_fraction,
    'skip_broken': train_data.skip_broken,
    'test_from_training': train_data.test_from_training,
    'frost': _unless('texture', config.evaluation.frost),
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
    # Results of older versions that lack some of these metrics are made again.
    f'figures:{",".join(lasting)}',
    *[f'{name}:{value}' for name, value in chosen.items() if value],
    *[shift.label for shift in data.parse_shifts(config.evaluation)],
    *_data_marks(config),
  ]


def _benchmark(config: configs.ExperimentConfig) -> str:
  """Returns the benchmark of images that are made; empty for `cifar_c`."""
  if config.evaluation.source:
    return ''
  shape = config.task.model.image_shape
  chosen = corruptions.choose_benchmark(config.evaluation.benchmark, shape)
  return _unless('cifar_c', chosen)


def _unless(default: str, value: str) -> str:
  """Returns a value, or '' if it is the default."""
  return '' if value == default else value


def _with_absolute_paths(marks: Sequence[str]) -> list[str]:
  """Returns the marks of images with absolute paths, which older ones lack."""
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
    # The classes that are left out are then out of distribution.
    shown = train_data if other else train_data.replace(classes=())
    marks.append(data.open_configured(shown).test.fingerprint)
    if config.evaluation.temperature_examples:
      marks.append(dataset.train.fingerprint)
  if configs.is_path(other):
    images = data.open_out_of_distribution(
      other,
      train_data.data_dir,
      train_data.image_size,
      train_data.image_fit,
      train_data.skip_broken,
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
