"""Public: figures of merit."""

from __future__ import annotations

import os

from uncertainty_distill import configs, evaluation, reports, trained, training
from uncertainty_distill.api import arguments, predictor
from uncertainty_distill.errors import InputError

import numpy as np
import numpy.typing as npt


def measure(
  probs: predictor.Predictions | npt.ArrayLike, labels: npt.ArrayLike
) -> dict[str, float]:
  """Measures probabilities of any origin against the labels.

  Args:
    probs: What `Predictor.predict` returns; or floats [E, B, K], members first,
      or [B, K] of a single model, which sum to 1 over the classes.
    labels: Integers [B], 0 to K - 1.

  Returns:
    By name, of the members' mean: `accuracy`; `ece` (expected calibration
    error, 15 equal bins of confidence) and `adaptive_ece` (bins of equally many
    examples); `nll`, nats, and `brier`; `auroc_misclassification` (of telling
    right from wrong by confidence; only where some are wrong, and some right)
    and `aurc` (area under the risk-coverage curve). The means of the members'
    own: `gibbs_nll`, nats, and `member_accuracy`. Of several members, how far
    they differ: `disagreement`, `pairwise_kl` and `mutual_information`, nats,
    and `masegosa_variance`.

  Raises:
    InputError: If an array is not as above.
  """
  if isinstance(probs, predictor.Predictions):
    probs = probs.member_probabilities.swapaxes(0, 1)
  probs, labels = np.asarray(probs), np.asarray(labels)
  classes = probs.shape[-1] if probs.ndim else 0
  if (
    labels.ndim != 1
    or not len(labels)
    or not np.issubdtype(labels.dtype, np.integer)
    or labels.min() < 0
    or labels.max() >= classes
  ):
    raise InputError(
      'labels',
      f'{labels.dtype} {list(labels.shape)}',
      f'integers [B], at least one, of 0 to {classes - 1}',
    )
  logits = trained.probs_as_logits(probs, 'probs', len(labels), classes)
  return dict(
    evaluation.evaluate_predictions('model', None, logits, labels).figures
  )


def evaluate(
  path: arguments.Paths,
  config: configs.ExperimentConfig | None = None,
  output_dir: arguments.Path = '',
) -> dict[str, float]:
  """Measures a trained model on clean and corrupted test images.

  This is evaluate.py.

  Args:
    path: Of a run folder or a SavedModel; several are one deep ensemble.
    config: The experiment whose test set, `evaluation` and `runtime` to take;
      by default the first run folder's own, on the devices there are.
    output_dir: Where to write a report with tables and plots; empty for none. A
      report that is there still holds for what has not changed.

  Returns:
    By name, the figures of `measure` on clean images, and with the prefix `c_`
    the mean on corrupted ones, over corruptions and then severities;
    `auroc_ood` where the experiment names images out of distribution.

  Raises:
    InputError: If a model cannot be loaded or takes other images, or if there
      are SavedModels alone and no configuration.
  """
  paths = arguments.as_list(path)
  config = config or reports.described_by(paths, 'path')
  if config is None:
    raise InputError(
      'config',
      config,
      'the experiment whose test set to take, where no path is of a run folder',
    )
  label = 'deep_ensemble' if len(paths) > 1 else 'model'
  systems = [evaluation.System(label, None, tuple(paths))]
  strategy = arguments.strategy_for(config)
  config = training.resolve(config)
  if not output_dir:
    results, *_ = reports.score(systems, config, strategy)
    return evaluation.summary(results)
  folder = os.fspath(output_dir)
  reports.assess(systems, config, strategy, folder, 'Evaluation')
  results, _ = evaluation.read_json(os.path.join(folder, reports.RESULTS_FILE))
  return evaluation.summary(results)
