"""Tests of the temperature that is fitted to held-out examples."""

from uncertainty_distill import metrics

import numpy as np
import pytest
from scipy import special
from sklearn import metrics as sklearn_metrics


def test_temperature_finds_the_scale_of_the_logits():
  generator = np.random.default_rng(0)
  # The labels are drawn from softmax(logits) of one member, so the best
  # temperature is 1. It is 3 if the logits are three times too large.
  logits = generator.normal(size=(1, 20_000, 5)) * 2
  noise = generator.gumbel(size=logits.shape[1:])
  labels = (logits[0] + noise).argmax(-1)
  fitted = metrics.fit_temperature(3 * logits, labels, 'drawn')
  assert fitted.temperature == pytest.approx(3, rel=0.03)
  assert fitted.nll_after < fitted.nll_before
  for got, scale, tolerance in (
    (fitted.nll_before, 3, 1e-6),
    (fitted.nll_after, 1, 1e-3),
  ):
    probs = special.softmax(scale * logits[0], -1)
    want = sklearn_metrics.log_loss(labels, probs)
    assert got == pytest.approx(want, abs=tolerance)


def test_the_nll_is_of_the_mean_by_hand():
  # Two members give the label 1/2 and 1/4, so the mean is 3/8.
  logits = np.log([[[0.5, 0.5]], [[0.25, 0.75]]])
  fitted = metrics.fit_temperature(logits + [[[2.0]]], np.array([0]), 'drawn')
  assert fitted.nll_before == pytest.approx(-np.log(3 / 8))
