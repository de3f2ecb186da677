"""Tests of the ranking metrics by hand and against scikit-learn."""

from uncertainty_distill.metrics import ranking

import numpy as np
import pytest
from sklearn import calibration
from sklearn import metrics as sklearn_metrics


def _random(num_examples, levels, seed=0):
  """Returns scores, which tie if levels are few, and weakly related flags."""
  rng = np.random.default_rng(seed)
  scores = rng.integers(0, levels, num_examples) / levels
  return scores, rng.random(num_examples) < 0.3 + 0.5 * scores


@pytest.mark.parametrize('levels', [2, 7, 10**9])
def test_auroc_against_scikit_learn(levels):
  scores, positive = _random(500, levels)
  want = sklearn_metrics.roc_auc_score(positive, scores)
  assert ranking.auroc(scores, positive) == pytest.approx(want, abs=1e-12)
  assert ranking.ood_auroc(
    scores[~positive], scores[positive]
  ) == pytest.approx(want)


def test_auroc_by_hand():
  # One of the pairs (0.4, 0.4), (0.4, 0.1), (0.9, 0.4), (0.9, 0.1) ties.
  assert ranking.auroc([0.4, 0.9, 0.4, 0.1], [1, 1, 0, 0]) == 3.5 / 4
  # The out-of-distribution image has the lowest entropy: the wrong order.
  assert ranking.ood_auroc([2.0, 1.5], [0.1]) == 0.0


@pytest.mark.parametrize('levels', [2, 7, 10**9])
def test_out_of_distribution_against_scikit_learn(levels):
  scores, positive = _random(500, levels)
  given = scores[~positive], scores[positive]
  assert ranking.ood_aupr(*given) == pytest.approx(
    sklearn_metrics.average_precision_score(positive, scores), abs=1e-12
  )
  false, true, _ = sklearn_metrics.roc_curve(
    positive, scores, drop_intermediate=False
  )
  for recall in 0.5, 0.95, 1.0:
    assert ranking.ood_fpr(*given, recall) == pytest.approx(
      false[np.argmax(true >= recall - 1e-12)]
    )


def test_every_score_of_out_of_distribution_images_by_hand():
  scores = {
    'entropy': np.array([0.9, 0.2]),
    'confidence': np.array([0.6, 0.9]),
    'mutual_information': np.array([0.1, 0.3]),
  }
  unknown = {
    'entropy': np.array([0.8, 1.0]),
    'confidence': np.array([0.5, 0.5]),
    'mutual_information': np.array([0.0, 0.2]),
  }
  found = ranking.ood_metrics(scores, unknown)
  # Of the four pairs, entropy orders 3 well, confidence 4, and the mutual
  # information 1.
  assert found == pytest.approx(
    {
      'auroc_ood': 3 / 4,
      'aupr_ood': (1 + 2 / 3) / 2,
      'fpr95_ood': 1 / 2,
      'auroc_ood_confidence': 1,
      'aupr_ood_confidence': 1,
      'fpr95_ood_confidence': 0,
      'auroc_ood_mutual_information': 1 / 4,
      'aupr_ood_mutual_information': (1 / 2 + 2 / 4) / 2,
      'fpr95_ood_mutual_information': 1,
    }
  )
  same = {name: 0 * values for name, values in scores.items()}
  # Rounding leaves some mutual information of two equal members.
  same['mutual_information'] = 5e-10 * scores['mutual_information']
  assert len(ranking.ood_metrics(same, same)) == 6


def test_out_of_distribution_by_hand():
  # From the largest: in; out; out and in, which tie; in. The precision is 1/2
  # at the first out-of-distribution image, and 2/4 at the second.
  given = [0.9, 0.5, 0.1], [0.7, 0.5]
  assert ranking.ood_aupr(*given) == pytest.approx((1 / 2 + 2 / 4) / 2)
  assert ranking.ood_fpr(*given) == pytest.approx(2 / 3)
  assert ranking.ood_fpr(*given, recall=0.5) == pytest.approx(1 / 3)
  for figure in ranking.ood_auroc, ranking.ood_aupr, ranking.ood_fpr:
    for other in ([], [float('nan')]):
      assert np.isnan(figure([0.5], other)) and np.isnan(figure(other, [0.5]))


def test_adaptive_ece_against_scikit_learn():
  confidence, correct = _random(600, 10**9)
  accuracy, mean = calibration.calibration_curve(
    correct, confidence, n_bins=15, strategy='quantile'
  )
  want = np.abs(accuracy - mean).mean()
  assert ranking.adaptive_ece(confidence, correct) == pytest.approx(want)


@pytest.mark.parametrize(
  'figure',
  [
    ranking.adaptive_ece,
    ranking.aurc,
    ranking.augrc,
    ranking.risk_at_coverage,
    ranking.coverage_at_risk,
  ],
)
def test_order_does_not_matter_where_scores_tie(figure):
  confidence, correct = _random(600, 3)
  order = np.random.default_rng(1).permutation(600)
  assert figure(confidence[order], correct[order]) == pytest.approx(
    figure(confidence, correct), abs=1e-12
  )


def test_adaptive_ece_by_hand():
  # Bins {.5, .6, .7} and {.8, .9}: |2 - 1.8| + |1 - 1.7|, over 5.
  error = ranking.adaptive_ece([0.9, 0.5, 0.7, 0.6, 0.8], [1, 1, 0, 1, 0], 2)
  assert error == pytest.approx(0.18)
  # Two of three bins split a tie: each example is half right.
  assert ranking.adaptive_ece([0.5, 0.5], [1, 0], 3) == pytest.approx(0.0)


def test_aurc_by_hand():
  # Surest first: right, wrong, right. The risks are 0, 1/2 and 1/3.
  assert ranking.aurc([0.9, 0.2, 0.5], [1, 1, 0]) == pytest.approx(5 / 18)
  # The two orders of the tie have the risks (0, 1/2) and (1, 1/2).
  assert ranking.aurc([0.5, 0.5], [1, 0]) == pytest.approx(0.5)
  assert ranking.aurc([0.5, 0.4], [1, 1]) == 0.0


def test_answers_to_the_surest_by_hand():
  # Surest first: right; right; wrong and right, which tie; wrong.
  given = [0.9, 0.8, 0.6, 0.6, 0.2], [1, 1, 0, 1, 0]
  errors_of_surest = [0, 0, 0.5, 1, 2]
  assert ranking.augrc(*given) == pytest.approx(sum(errors_of_surest) / 25)
  assert ranking.risk_at_coverage(*given, 0.8) == pytest.approx(1 / 4)
  assert ranking.risk_at_coverage(*given, 0.81) == pytest.approx(2 / 5)
  assert ranking.risk_at_coverage(*given, 0.6) == pytest.approx(0.5 / 3)
  # The surest image, two, three, four, five of them.
  assert ranking.risk_coverage_curve(*given) == pytest.approx(
    [0] * 8 + [0.5 / 3] * 4 + [1 / 4] * 4 + [2 / 5] * 4
  )
  assert ranking.coverage_at_risk(*given, 0.25) == pytest.approx(4 / 5)
  # Three answers would split the tie.
  assert ranking.coverage_at_risk(*given, 0.2) == pytest.approx(2 / 5)
  assert ranking.coverage_at_risk(*given, 0.4) == 1.0
  assert ranking.coverage_at_risk([0.9, 0.8], [0, 1], 0.4) == 0.0


@pytest.mark.parametrize(
  'figure',
  [
    ranking.adaptive_ece,
    ranking.auroc,
    ranking.aurc,
    ranking.augrc,
    ranking.risk_at_coverage,
    ranking.coverage_at_risk,
  ],
)
def test_what_cannot_be_said_is_nan(figure):
  assert np.isnan(figure([], []))
  assert np.isnan(figure([0.5, float('nan')], [0, 1]))
  assert np.isnan(ranking.auroc([0.5, 0.6], [1, 1]))
