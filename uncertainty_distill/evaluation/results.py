"""The results of an evaluation, and the files that hold them.

A `Result` holds one model's metrics on one shift of the test set; `aggregation`
averages results.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from uncertainty_distill import errors
from uncertainty_distill.data import corruptions
from uncertainty_distill.io import files
from uncertainty_distill.metrics import (
  BINS,
  FROM_BINS,
  METRICS,
  confidence_gaps,
  ranking,
)

import numpy as np

_REQUIRED = [name for name, spec in METRICS.items() if spec.required]
# Sequences that older files lack.
_LATER = 'member_accuracies', 'risks'
_FORMAT = 'uncertainty_distill.results.v1'


@dataclasses.dataclass(frozen=True)
class Result:
  """One model's metrics on the test set under one shift.

  Attributes:
    model: The model's label, such as `deep_ensemble`; the same for every seed.
    seed: The seed of its training; None if it has no seed of its own.
    shift: The corruption and severity of the images.
    num_examples: How many images were scored.
    metrics: From names in `METRICS` to values; likelihoods are in nats. The
      required metrics are always there. `auroc_misclassification` is there only
      if the model makes some errors, but not only errors; `auroc_ood`,
      `aupr_ood` and `fpr95_ood` only on clean images, if these were compared
      with out-of-distribution images; the measures of diversity only for
      several members; `temperature`, only on clean images, and `scaled_nll`
      only if a temperature was fitted; `coverage` and `set_size` only if
      prediction sets were calibrated. Older files lack the other metrics, but
      `overconfidence` and `underconfidence` are computed from the bins.
    bin_count: The number of examples in each equal-width bin of confidence.
    bin_confidence: The sum of the examples' confidences in each bin.
    bin_correct: The number of correctly classified examples in each bin.
    images: A description of the corrupted images that were scored; empty for
      clean images, and in older files.
    member_accuracies: The accuracy of each member by itself, in the order of
      the system's paths; empty in older files.
    risks: The share of errors among the predictions that the model is surest
      of, at each of `ranking.COVERAGES`; empty in older files.

  Raises:
    InputError: A metric is missing or unknown, the numbers of bins differ, or
      there is not one risk for each coverage.
  """

  model: str
  seed: int | None
  shift: corruptions.Shift
  num_examples: int
  metrics: Mapping[str, float]
  bin_count: tuple[float, ...]
  bin_confidence: tuple[float, ...]
  bin_correct: tuple[float, ...]
  images: str = ''
  member_accuracies: tuple[float, ...] = ()
  risks: tuple[float, ...] = ()

  @property
  def key(self) -> str:
    """The system's name in files, which is made of its label and seed."""
    return system_key(self.model, self.seed)

  def __post_init__(self) -> None:
    if not set(_REQUIRED) <= set(self.metrics) <= set(METRICS):
      raise errors.InputError(
        'metrics',
        sorted(self.metrics),
        f'some of {", ".join(METRICS)}, including {", ".join(_REQUIRED)}',
      )
    sizes = [len(getattr(self, name)) for name in BINS]
    if len(set(sizes)) != 1:
      raise errors.InputError(
        'bins', sizes, 'three sequences of the same length'
      )
    if len(self.risks) not in (0, len(ranking.COVERAGES)):
      expected = f'{len(ranking.COVERAGES)} numbers, or none'
      raise errors.InputError('risks', self.risks, expected)
    given = {
      **confidence_gaps(*(np.asarray(getattr(self, n), float) for n in BINS)),
      **self.metrics,
    }
    # Numbers of all array types become plain floats. Files then hold the same
    # numbers as memory, and a record that is read equals the one written.
    values = {name: float(given[name]) for name in METRICS if name in given}
    object.__setattr__(self, 'metrics', values)
    object.__setattr__(self, 'num_examples', int(self.num_examples))
    for name in (*BINS, *_LATER):
      numbers = tuple(float(value) for value in getattr(self, name))
      object.__setattr__(self, name, numbers)


def system_key(label: str, seed: int | None) -> str:
  """Returns the name of a system in files: `single` or `student/3`."""
  return label if seed is None else f'{label}/{seed}'


def write_json(
  results: Sequence[Result],
  path: str | os.PathLike[str],
  metadata: Mapping[str, Any] | None = None,
) -> None:
  """Writes results as JSON, one record a line.

  The file is an object with three members (older files also have `sha256`):
    format: "uncertainty_distill.results.v1".
    metadata: The given metadata, unchanged.
    results: A list of objects with `model` (string), `seed` (integer or null),
      `corruption` (its name, null for clean images), `severity` (integer, 0 for
      clean images), `images` (string: a description of the corrupted images),
      `num_examples` (integer), `figures` (an object with a number for each of
      `METRICS` that is known), `bin_count`, `bin_confidence` and `bin_correct`
      (lists of numbers, sums over each bin's examples), `member_accuracies` and
      `risks` (lists of numbers, if they are known). A number that JSON cannot
      represent is one of the strings "nan", "inf", "-inf".

  Args:
    results: The records.
    path: The file, in a folder that exists; replaced whole or not at all.
    metadata: Anything that JSON can hold, such as versions and commands.

  Raises:
    OSError: The file cannot be written.
  """
  described = json.dumps(dict(metadata or {}), allow_nan=False)
  records = ',\n'.join(
    json.dumps(_to_json(result), allow_nan=False) for result in results
  )
  files.write_text(
    path,
    (
      f'{{"format": "{_FORMAT}",\n"metadata": {described},\n'
      f'"results": [\n{records}\n]}}\n'
    ),
  )


def read_json(
  path: str | os.PathLike[str],
) -> tuple[list[Result], dict[str, Any]]:
  """Reads what `write_json` wrote.

  Returns:
    The records and the metadata.

  Raises:
    InputError: The file does not exist, or holds something else.
  """
  try:
    content = json.loads(files.read_text(path))
    if content['format'] != _FORMAT:
      raise ValueError(f'its format is {content["format"]!r}')
    records = [_from_json(record) for record in content['results']]
    return records, dict(content['metadata'])
  except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
    raise errors.InputError(
      'results file',
      os.fspath(path),
      f'a file of format {_FORMAT}',
      f'reading it failed with {type(error).__name__}: {error}',
    ) from error


def write_csv(results: Sequence[Result], path: str | os.PathLike[str]) -> None:
  """Writes one line for each model, seed, corruption and severity.

  The columns are `model`, `seed` (empty if there is none), `corruption`
  (`clean` for clean images), `severity`, `images` (a description of the
  corrupted images), `num_examples` and `METRICS` (empty if they are unknown).

  Args:
    results: The records.
    path: The file, in a folder that exists; replaced whole or not at all.

  Raises:
    OSError: The file cannot be written.
  """
  text = io.StringIO()
  columns = 'model', 'seed', 'corruption', 'severity', 'images', 'num_examples'
  writer = csv.DictWriter(
    text, (*columns, *METRICS), extrasaction='ignore', lineterminator='\n'
  )
  writer.writeheader()
  for result in results:
    record = _to_json(result) | dict(result.metrics)
    writer.writerow(record | {'corruption': record['corruption'] or 'clean'})
  files.write_text(path, text.getvalue())


def json_number(value: float) -> float | str:
  """Returns the number, or its name if strict JSON cannot represent it."""
  return value if math.isfinite(value) else str(value)


def _to_json(result: Result) -> dict[str, Any]:
  """Returns a record as the object that `write_json` writes."""
  corruption = result.shift.corruption
  return {
    'model': result.model,
    'seed': result.seed,
    'corruption': corruption.value if corruption else None,
    'severity': result.shift.severity,
    'images': result.images,
    'num_examples': result.num_examples,
    'figures': {
      name: json_number(value)
      for name, value in result.metrics.items()
      # Records of older versions, without a classwise ECE, stay unchanged.
      if name not in FROM_BINS or 'classwise_ece' in result.metrics
    },
    **{
      name: list(map(json_number, getattr(result, name)))
      for name in (*BINS, *_LATER)
      if name in BINS or getattr(result, name)
    },
  }


def _from_json(record: Mapping[str, Any]) -> Result:
  """Inverts `_to_json`; `Result` turns strings into floats."""
  corruption = record['corruption']
  if corruption is not None:
    corruption = corruptions.Corruption.parse(corruption)
  return Result(
    model=record['model'],
    seed=record['seed'],
    shift=corruptions.Shift(corruption, record['severity']),
    num_examples=record['num_examples'],
    metrics=record['figures'],
    images=record.get('images', ''),
    **{name: record[name] for name in BINS},
    **{name: record[name] for name in _LATER if name in record},
  )
