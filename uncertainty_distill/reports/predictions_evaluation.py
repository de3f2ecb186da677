"""Evaluation of teachers that are stored predictions."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from uncertainty_distill import configs, data, evaluation, trained
from uncertainty_distill.evaluation.system import System
from uncertainty_distill.reports import tables

_logger = logging.getLogger(__name__)


def evaluate(
  systems: Sequence[System],
  config: configs.ExperimentConfig,
  dataset: data.Dataset,
) -> tuple[list[evaluation.Result], dict[str, tables.ModelSize]]:
  """Scores what teachers said of the clean test images.

  Args:
    systems: Each is stored predictions.
    config: Resolved; says how many test examples count.
    dataset: The dataset of the configuration.

  Returns:
    The systems' results, and their sizes by label. A system whose files have
    no predictions of test images is left out, and that is said.

  Raises:
    InputError: If a file is not of the test set.
  """
  results, sizes = [], {}
  for system in systems:
    logits = trained.load_predictions(
      system.paths,
      'teacher',
      'test',
      dataset.test.labels,
      dataset.spec.num_classes,
    )
    if logits is None:
      _logger.warning(
        f'{", ".join(system.paths)}: without test_probs or test_logits, the '
        'teacher is left out of the report.'
      )
      continue
    labels = dataset.test.take(config.task.validation_data.num_examples).labels
    results.append(
      evaluation.evaluate_predictions(
        system.label, system.seed, logits[:, : len(labels)], labels
      )
    )
    sizes[system.label] = tables.ModelSize(len(logits), 0)
  return results, sizes
