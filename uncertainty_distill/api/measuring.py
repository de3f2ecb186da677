"""Public functions: metrics of predictions and of trained models."""

from __future__ import annotations

import os
from typing import Any

from uncertainty_distill import (
  configs,
  data,
  evaluation,
  reports,
  trained,
  training,
)
from uncertainty_distill.api import arguments, predictor
from uncertainty_distill.distribution import workers
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files

import numpy as np
import numpy.typing as npt


def measure(
  probs: predictor.Predictions | npt.ArrayLike,
  labels: npt.ArrayLike,
  out_of_distribution: predictor.Predictions | npt.ArrayLike | None = None,
) -> dict[str, float]:
  """Computes the metrics of probabilities of any origin.

  Args:
    probs: The predictions of `Predictor.predict`; or probabilities, floats
      [E, B, K], members first, or [B, K] of a single model.
    labels: Integers [B], 0 to K - 1.
    out_of_distribution: Predictions of the same model for images of none of the
      K classes, [E, N, K] or [N, K].

  Returns:
    Metrics by name. For the mean over the members: `accuracy`; `ece` (expected
    calibration error, 15 equal bins of confidence), the sum of `overconfidence`
    and `underconfidence`; `adaptive_ece` (bins of equally many examples) and
    `classwise_ece` (bins of each class's probability, averaged over classes);
    `nll`, in nats, and `brier`; `auroc_misclassification` (AUROC of telling
    right from wrong predictions by their confidence, if there are both), `aurc`
    and `augrc` (areas under the risk-coverage curve and the generalized one),
    `risk_at_80` (the share of errors among the surest 80%) and `coverage_at_5`
    (the largest share of the surest with at most 5% of errors). Means of the
    members' own metrics: `gibbs_nll`, in nats, and `member_accuracy`. The
    diversity of several members: `disagreement`, `pairwise_kl` and
    `mutual_information`, in nats, and `masegosa_variance`. With
    `out_of_distribution`, how well three scores tell these images apart, from 0
    to 1: the entropy of the mean (`auroc_ood`, `aupr_ood` and `fpr95_ood`), the
    confidence (`auroc_ood_confidence` and so on) and, of several members, the
    mutual information (`auroc_ood_mutual_information` and so on).

  Raises:
    InputError: If an array is not as described.

  Examples:
    >>> probs = [[[0.8, 0.2], [0.4, 0.6]], [[0.6, 0.4], [0.2, 0.8]]]
    >>> metrics = ud.measure(probs, labels=[0, 1])
    >>> metrics['accuracy'], round(metrics['nll'], 3)
    (1.0, 0.357)
  """
  given, labels = _members(probs, 'probs'), _array(labels, 'labels')
  classes = given.shape[-1] if given.ndim else 0
  if not labels.size:
    raise InputError(
      'labels', list(labels.shape), 'labels of at least one example'
    )
  count = len(labels) if labels.ndim else 1
  data.check_labels(labels, 'labels', count, classes)
  logits = trained.probs_as_logits(given, 'probs', len(labels), classes)
  unknown = out_of_distribution
  if unknown is not None:
    unknown = _unknown_logits(unknown, len(logits), classes)
  result = evaluation.evaluate_predictions(
    'model', None, logits, labels, unknown
  )
  return dict(result.metrics)


def _unknown_logits(probs: Any, members: int, classes: int) -> np.ndarray:
  """Returns the logits [E, N, K] of images of none of the classes."""
  name = 'out_of_distribution'
  given = _members(probs, name)
  whole = given[np.newaxis] if given.ndim == 2 else given
  if whole.ndim != 3 or len(whole) != members or not whole.shape[1]:
    raise InputError(
      name,
      list(given.shape),
      f'of the same {members} members, [E, N, K], with at least one image',
    )
  return trained.probs_as_logits(whole, name, whole.shape[1], classes)


def _members(probs: Any, name: str) -> np.ndarray:
  """Returns probabilities as an array, of several members [E, B, K]."""
  if isinstance(probs, predictor.Predictions):
    probs = probs.member_probabilities.swapaxes(0, 1)
  given = _array(probs, name)
  if given.dtype.name == 'bfloat16':
    given = given.astype(np.float32)
    sums = given.sum(-1, keepdims=True)
    if abs(sums - 1).max() < 0.02:  # Sums that differ from 1 only by rounding.
      given /= sums
  _check_two_classes(given, name)
  return given


def _array(values: Any, name: str) -> np.ndarray:
  """Returns an array, or raises an InputError for rows of several lengths."""
  try:
    return np.asarray(values)
  except ValueError as error:
    raise InputError(
      name, type(values).__name__, 'an array', 'its rows differ in length'
    ) from error


def _check_two_classes(probs: np.ndarray, name: str) -> None:
  """Raises an InputError if only one of two classes has a probability."""
  if probs.ndim == 1 or (probs.ndim in (2, 3) and probs.shape[-1] == 1):
    join = 'stack' if probs.ndim == 1 else 'concatenate'
    raise InputError(
      name,
      f'{probs.dtype} {list(probs.shape)}',
      'the probabilities of every class, floats [B, K] or [E, B, K]',
      f'of two classes give both: np.{join}([1 - p, p], -1)',
    )


def evaluate(
  path: arguments.Paths,
  config: configs.ExperimentConfig | None = None,
  output_dir: arguments.Path = '',
) -> dict[str, float]:
  """Evaluates a model on clean and corrupted images, as evaluate.py does.

  Args:
    path: A run folder or a SavedModel; several form one deep ensemble.
    config: The experiment whose test set, `evaluation` and `runtime` to use. By
      default the experiment of the first run folder, on the devices of this
      machine.
    output_dir: The folder for a report with tables and plots; empty for none.
      Results in it that are still valid are not computed again.

  Returns:
    Metrics by name: the metrics of `measure` on clean images; with the prefix
    `c_` their means on corrupted images, over corruptions and then severities;
    and `auroc_ood` and the like if the experiment names out-of-distribution
    images.

  Raises:
    InputError: If a model cannot be loaded or takes other images, or if there
      are only SavedModels and no configuration.

  Examples:
    >>> config = ud.experiment('digits_wrn10_1')
    >>> config.evaluation.corruptions = ('contrast',)
    >>> config.evaluation.severities = (5,)
    >>> metrics = ud.evaluate('runs/single', config)
    >>> sorted({'nll', 'c_nll', 'c_ece'} & metrics.keys())
    ['c_ece', 'c_nll', 'nll']
  """
  paths = arguments.as_list(path)
  label = 'deep_ensemble' if len(paths) > 1 else 'model'
  system = evaluation.System(label, None, tuple(paths))
  config = config or evaluation.default_experiment(system.model)
  if config is None:
    raise InputError(
      'config',
      config,
      'an experiment if no path is a run folder',
      message='`config` must be the experiment whose test set to use, because '
      'no path is a run folder',
    )
  experiment = training.open_experiment(config, arguments.strategy_for(config))
  if not output_dir:
    found = evaluation.evaluate_systems([system], experiment)
    return evaluation.summary(found.results)
  # `measure` needs neither locks nor the library that they are made of.
  from uncertainty_distill.io import locks

  folder = files.expanded(output_dir)
  with locks.lock_folder(folder, 'output_dir', experiment.is_chief):
    reports.assess([system], experiment, folder, 'Evaluation')
  workers.wait(experiment.strategy)  # The chief has written the results.
  results, _ = evaluation.read_json(
    os.path.join(folder, evaluation.RESULTS_FILE)
  )
  # The results may also include the baseline of corruption errors.
  return evaluation.summary([r for r in results if r.key == system.key])
