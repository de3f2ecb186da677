"""Tests of the advice in a report."""

from uncertainty_distill.data import corruptions
from uncertainty_distill.evaluation import results
from uncertainty_distill.reports import advice


def _result(
  label, confidences, correct, disagreement=None, seed=None, accuracy=0.5
):
  """Returns a result with two bins of 50 images each."""
  confidence = [50 * value for value in confidences]
  error = sum(abs(a - b) for a, b in zip(confidence, correct)) / 100
  values = {
    name: 0.5 for name in ('nll', 'gibbs_nll', 'brier', 'member_accuracy')
  }
  values['accuracy'] = accuracy
  values['ece'] = error
  if disagreement is not None:
    values['disagreement'] = disagreement
  return results.Result(
    model=label,
    seed=seed,
    shift=corruptions.CLEAN,
    num_examples=100,
    metrics=values,
    bin_count=(50, 50),
    bin_confidence=tuple(confidence),
    bin_correct=tuple(correct),
  )


def test_underconfidence_is_told_from_overconfidence():
  # Accuracies 0.7 and 0.9: gaps of 0.2 and 0.3, both underconfidence.
  (line,) = advice.advice([_result('student', (0.5, 0.6), (35, 45))])
  assert line.startswith('Student ') and '0.250' in line
  assert advice.advice([_result('student', (0.9, 1.0), (35, 45))]) == []
  # 0.2 under and 0.1 over: less than 80% of the ECE is underconfidence.
  assert advice.advice([_result('student', (0.5, 1.0), (35, 45))]) == []
  # Well calibrated.
  assert advice.advice([_result('student', (0.68, 0.88), (35, 45))]) == []


def test_members_that_are_one_network_are_named_over_all_seeds():
  calibrated = (0.7, 0.9), (35, 45)
  few = [_result('a', *calibrated, d, seed=s) for s, d in enumerate((0, 0.01))]
  (line,) = advice.advice(few, batch_ensembles=['a'])
  assert line.startswith('A ') and ' 0.5% ' in line
  # A deep ensemble has no fast weights.
  assert advice.advice(few) == []
  # Members with an error rate of 2% cannot differ much.
  sure = _result('a', (0.98, 0.98), (49, 49), 0.005, accuracy=0.98)
  assert advice.advice([sure], batch_ensembles=['a']) == []
  many = [_result('a', *calibrated, d, seed=s) for s, d in enumerate((0, 0.1))]
  single = _result('single', *calibrated)
  assert advice.advice([*many, single], batch_ensembles=['a']) == []
