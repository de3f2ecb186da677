"""Tests of metrics that follow from stored predictions alone."""

from uncertainty_distill import evaluation, metrics
from uncertainty_distill.data import corruptions

import numpy as np
import pytest
from scipy import special


def test_metrics_of_stored_predictions():
  generator = np.random.default_rng(0)
  logits = 2 * generator.normal(size=[3, 50, 4]).astype(np.float32)
  labels = generator.integers(0, 4, 50)
  result = evaluation.evaluate_predictions('deep_ensemble', 2, logits, labels)
  assert (result.model, result.seed) == ('deep_ensemble', 2)
  assert result.shift == corruptions.CLEAN and result.num_examples == 50
  probs = special.softmax(logits.astype(np.float64), -1)
  of_label = probs[:, np.arange(50), labels]
  hits = probs.mean(0).argmax(-1) == labels
  assert result.metrics['accuracy'] == pytest.approx(hits.mean())
  assert result.metrics['nll'] == pytest.approx(
    -np.log(of_label.mean(0)).mean(), rel=1e-5
  )
  assert result.metrics['gibbs_nll'] == pytest.approx(
    -np.log(of_label).mean(), rel=1e-5
  )
  assert sum(result.bin_correct) == hits.sum() and sum(result.bin_count) == 50
  # Only the metrics that need other images are missing.
  other = {name for name in metrics.METRICS if '_ood' in name}
  other |= {*metrics.TEMPERATURE, *metrics.SETS}
  assert set(metrics.METRICS) - other == set(result.metrics)
