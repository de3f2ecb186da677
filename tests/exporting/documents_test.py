"""Tests of what accompanies a served model: temperature, table, card, names."""

from uncertainty_distill import exporting
from uncertainty_distill.exporting import abstention

import numpy as np
import pytest
from scipy import special
from sklearn import metrics as sklearn_metrics


def test_temperature_finds_the_scale_of_the_logits():
  generator = np.random.default_rng(0)
  # One member, labels drawn from softmax(logits): 1 is best, and 3 where the
  # logits are three times too large.
  logits = generator.normal(size=(1, 20_000, 5)) * 2
  noise = generator.gumbel(size=logits.shape[1:])
  labels = (logits[0] + noise).argmax(-1)
  fitted = exporting.fit_temperature(3 * logits, labels, 'drawn')
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
  # Two members give the label 1/2 and 1/4: the mean is 3/8.
  logits = np.log([[[0.5, 0.5]], [[0.25, 0.75]]])
  fitted = exporting.fit_temperature(logits + [[[2.0]]], np.array([0]), 'drawn')
  assert fitted.nll_before == pytest.approx(-np.log(3 / 8))


def test_abstention_by_hand():
  entropy = np.array([0.4, 0.1, 0.3, 0.2])
  correct = np.array([False, True, False, True])
  rows = exporting.abstentions(entropy, correct, [1.0, 0.75, 0.6, 0.5])
  # Three quarters are the least that is at least 60%.
  assert rows == [
    abstention.Abstention(0.4, 1.0, 0.5, 2),
    abstention.Abstention(0.3, 0.75, pytest.approx(2 / 3), 1),
    abstention.Abstention(0.2, 0.5, 1.0, 0),
  ]
  assert '| 0.300 | 75.0% | 66.7% | 1 |' in abstention.as_table(rows)


def test_thresholds_answer_what_is_said_as_they_are_printed():
  entropy = np.array([0.12345, 0.12346, 0.9])
  (row, _) = exporting.abstentions(entropy, np.ones(3, bool), [0.3, 1.0])
  assert (row.threshold, row.coverage) == (0.124, pytest.approx(2 / 3))


def test_card_tells_what_is_known_and_what_is_not():
  card = exporting.ModelCard(
    sections={'Model': 'A network.'},
    class_names=['cat', 'dog'],
    metrics={'accuracy': 0.9, 'c_accuracy': 0.5, 'nll': 0.25},
    evaluated_images='On 70 test images.',
    calibration=exporting.Calibration(1.5, 0.4, 0.3, 500, 'held.npz'),
    abstentions=[abstention.Abstention(0.2, 0.5, 1.0, 0)],
    abstention_images='the first 70 clean test images',
  )
  text = card.to_markdown()
  for part in (
    '## Model\n\nA network.',
    'cat, dog',
    '| Accuracy | 0.9000 | 0.5000 |',
    '| NLL | 0.2500 |  |',
    'On 70 test images.',
    '1.500',
    '500 examples: held.npz',
    '0.4000 nats before and 0.3000 after',
    '| 0.200 | 50.0% | 100.0% | 0 |',
    'the first 70 clean',
    'Limits of use',
  ):
    assert part in text
  assert 'ECE' not in text
