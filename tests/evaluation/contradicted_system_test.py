"""Tests of systems whose predictions contradict the labels of test images."""

from uncertainty_distill import configs, data, evaluation

import experiments
import nearest
import numpy as np
import pytest
import refusals

_TEXT = (
  'evaluation.corruptions=[],task.objective.kind=cross_entropy,'
  'task.validation_data.num_examples=300'
)


def _evaluate(*paths, more=''):
  config = configs.load_config('digits_wrn10_1', params_override=_TEXT + more)
  system = evaluation.System('model', None, tuple(map(str, paths)))
  found = evaluation.evaluate_systems([system], experiments.opened(config))
  (result,) = found.results
  return result


def test_a_saved_model_and_its_predictions(tmp_path):
  good = nearest.save(tmp_path / 'good')
  wrong = nearest.save(tmp_path / 'wrong', nearest.permuted)
  with refusals.refused('path', wrong, 'order') as caught:
    _evaluate(good, wrong)
  assert ', '.join(map(str, nearest.ORDER)) in caught.value.hint
  accepted = ',check_labels=false'
  result = _evaluate(good, wrong, more=accepted)
  right, permuted = result.member_accuracies
  assert right > 0.8 and permuted < 0.3
  assert result.metrics['member_accuracy'] == pytest.approx(
    (right + permuted) / 2
  )
  test = data.open_dataset('digits').test
  logits = 5 * np.eye(10)[test.labels]
  file = tmp_path / 'p.npz'
  np.savez(
    file,
    train_logits=np.zeros((2, 797, 10)),
    test_logits=np.stack([logits, logits[:, nearest.PLACES]]),
    test_labels=test.labels,
  )
  with refusals.refused('path', str(file), 'order'):
    _evaluate(file)
  moved = np.isin(
    test.labels[:300], np.flatnonzero(nearest.PLACES != range(10))
  )
  assert _evaluate(file, more=accepted).member_accuracies == pytest.approx(
    (1, 1 - moved.mean())
  )
