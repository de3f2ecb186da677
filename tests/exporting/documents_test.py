"""Tests of a served model's documents: abstention table and model card."""

from uncertainty_distill import exporting, metrics
from uncertainty_distill.exporting import abstention

import numpy as np
import pytest


def test_abstention_by_hand():
  entropy = np.array([0.4, 0.1, 0.3, 0.2])
  correct = np.array([False, True, False, True])
  rows = exporting.abstentions(entropy, correct, [1.0, 0.75, 0.6, 0.5])
  # Of four images, three quarters is the smallest share of at least 60%.
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
    class_names=['cat', 'dog', 'a\n\n## Metrics\n\n<b>1.0</b>'],
    metrics={'accuracy': 0.9, 'c_accuracy': 0.5, 'nll': 0.25},
    evaluated_images='On 70 test images.',
    calibration=metrics.Calibration(1.5, 0.4, 0.3, 500, 'held.npz'),
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
