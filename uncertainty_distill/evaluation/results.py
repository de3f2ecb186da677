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

_REQUIRED = {name for name, spec in METRICS.items() if spec.required}
# Sequences that older files lack.
_LATER = 'member_accuracies', 'risks'
_FORMAT = 'uncertainty_distill.results.v1'


@dataclasses.dataclass(frozen=True)
class Result:
  """One model's metrics on the test set under one shift.

  Attributes:
    model: What the model is, such as `deep_ensemble`; the same for every seed.
    seed: The seed that it was trained with; None where it has none of its own.
    shift: The corruption and severity of the images.
    num_examples: How many images were scored.
    metrics: Values by the names in `METRICS`; likelihoods in nats. The required
      ones are always there; `auroc_misclassification` only where the model
      makes errors, though not only errors; `auroc_ood`, `aupr_ood` and
      `fpr95_ood` only on clean images, where they were compared with
      out-of-distribution ones; the measures of diversity only of several
      members. Older files lack the others, of which
      `overconfidence` and `underconfidence` follow from the bins.
    bin_count: The number of examples in each equal-width bin of confidence.
    bin_confidence: The sum of their confidences, bin by bin.
    bin_correct: How many of them are classified correctly, bin by bin.
    images: Which set of corrupted images was scored; empty for clean ones, and
      in older files.
    member_accuracies: The accuracy of each member by itself, in the order of
      the system's paths; empty in older files.
    risks: The share of errors among the predictions that the model is surest
      of, at each of `ranking.COVERAGES`; empty in older files.

  Raises:
    InputError: A metric is missing or unknown, or the bins differ in number, or
      the risks are not one for each coverage.
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
    """The label and the seed, by which files name the system."""
    return system_key(self.model, self.seed)

  def __post_init__(self) -> None:
    if not _REQUIRED <= set(self.metrics) <= set(METRICS):
      raise errors.InputError(
        'metrics',
        sorted(self.metrics),
        f'some of {", ".join(METRICS)}, among them {", ".join(_REQUIRED)}',
      )
    sizes = [len(getattr(self, name)) for name in BINS]
    if len(set(sizes)) != 1:
      raise errors.InputError('bins', sizes, 'three sequences of one length')
    if len(self.risks) not in (0, len(ranking.COVERAGES)):
      expected = f'{len(ranking.COVERAGES)} numbers, or none'
      raise errors.InputError('risks', self.risks, expected)
    given = {
      **confidence_gaps(*(np.asarray(getattr(self, n), float) for n in BINS)),
      **self.metrics,
    }
    # Plain floats, whatever array types came in: files then hold what memory
    # holds, and a record read back equals the one that was written.
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

  The file is an object of three members (older files have a fourth, `sha256`):
    format: "uncertainty_distill.results.v1".
    metadata: The object given, as it is.
    results: A list of objects with `model` (string), `seed` (integer or null),
      `corruption` (its name, null for clean images), `severity` (integer, 0 for
      clean images), `images` (string: which corrupted images these are),
      `num_examples` (integer), `figures` (an object with a number for each of
      `METRICS` that is known), `bin_count`, `bin_confidence` and `bin_correct`
      (lists of numbers, sums over each bin's examples), `member_accuracies` and
      `risks` (lists of numbers, where they are known). A number that JSON lacks
      is one of the strings "nan", "inf", "-inf".

  Args:
    results: The records.
    path: The file, in a folder that exists; replaced whole or not at all.
    metadata: Anything that JSON can hold: versions, commands.

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
    InputError: There is no such file, or it holds something else.
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

  The columns are `model`, `seed` (empty where there is none), `corruption`
  (`clean` for clean images), `severity`, `images` (which corrupted images these
  are), `num_examples` and `METRICS` (empty where they are not known).

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
  """Returns the number, or its name where strict JSON has no number for it."""
  return value if math.isfinite(value) else str(value)


def _to_json(result: Result) -> dict[str, Any]:
  """Returns a record as `write_json` lays it down."""
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
      # An older version's records stay as they are.
      if name not in FROM_BINS or 'classwise_ece' in result.metrics
    },
    **{
      name: list(map(json_number, getattr(result, name)))
      for name in (*BINS, *_LATER)
      if name in BINS or getattr(result, name)
    },
  }


def _from_json(record: Mapping[str, Any]) -> Result:
  """Inverts `_to_json`; `Result` makes floats of strings."""
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
