"""Tests of the metrics of probabilities of any origin."""

import uncertainty_distill as ud
from uncertainty_distill import measure

import numpy as np
import pytest
import refusals
import scipy.stats
import tensorflow as tf
from sklearn import metrics

_LABELS = np.random.default_rng(0).integers(0, 3, 200)


def _probs(members=4):
  """Returns members' probabilities [E, B, K] that are often right."""
  logits = np.random.default_rng(1).normal(size=(members, 200, 3))
  logits += 2 * np.eye(3)[_LABELS]
  probs = np.exp(logits)
  return probs / probs.sum(-1, keepdims=True)


def test_metrics_are_those_of_another_library():
  probs = _probs()
  mean = probs.mean(0)
  got = measure(probs, _LABELS)
  assert all(type(value) is float for value in got.values())
  correct = mean.argmax(-1) == _LABELS
  want = {
    'accuracy': metrics.accuracy_score(_LABELS, mean.argmax(-1)),
    'nll': metrics.log_loss(_LABELS, mean),
    'gibbs_nll': np.mean([metrics.log_loss(_LABELS, p) for p in probs]),
    'brier': ((mean - np.eye(3)[_LABELS]) ** 2).sum(-1).mean(),
    'auroc_misclassification': metrics.roc_auc_score(correct, mean.max(-1)),
    'member_accuracy': (probs.argmax(-1) == _LABELS).mean(),
  }
  for name, value in want.items():
    assert got[name] == pytest.approx(value, rel=1e-4), name
  assert 0 < got['disagreement'] < 1 and 0 < got['ece'] < 1


def test_images_of_none_of_the_classes():
  unknown = np.random.default_rng(2).dirichlet([1, 1, 1], size=(4, 100))
  got = measure(_probs(), _LABELS, out_of_distribution=unknown)
  is_unknown = np.repeat([0, 1], [200, 100])
  probs = np.concatenate([_probs(), unknown], 1)
  mean = probs.mean(0)
  entropy = scipy.stats.entropy(mean, axis=-1)
  of_members = scipy.stats.entropy(probs, axis=-1).mean(0)
  for end, score in {
    '': entropy,
    '_confidence': -mean.max(-1),
    '_mutual_information': entropy - of_members,
  }.items():
    auroc = metrics.roc_auc_score(is_unknown, score)
    assert got[f'auroc_ood{end}'] == pytest.approx(auroc), end
    precision = metrics.average_precision_score(is_unknown, score)
    assert got[f'aupr_ood{end}'] == pytest.approx(precision), end
  without = {name: v for name, v in got.items() if '_ood' not in name}
  assert without == measure(_probs(), _LABELS) and len(got) - len(without) == 9


@pytest.mark.parametrize(
  'unknown', [np.ones([4, 0, 3]), np.ones([3, 5, 3]) / 3, np.ones([5, 2]) / 2]
)
def test_predictions_of_another_shape_for_none_of_the_classes(unknown):
  with refusals.refused('out_of_distribution'):
    measure(_probs(), _LABELS, unknown)


def _votes(members, for_first):
  """Returns votes [E, B, 3] for the first or the last class, as floats."""
  votes = np.arange(members)[:, None] < for_first
  return np.stack([votes, 0 * votes, ~votes], -1).astype(float)


@pytest.mark.parametrize('members', [3, 5, 15, 30, 45, 75])
@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_votes_on_a_border_of_bins_count_in_the_upper_one(members, dtype):
  counts = np.arange(members // 2 + 1, members + 1)
  probs = _votes(members, counts).astype(dtype)
  labels = np.zeros(len(counts), int)
  labels[::2] = 1
  bins = np.minimum(counts * 15 // members, 14)  # Exact in integers.
  gaps = np.zeros(15)
  np.add.at(gaps, bins, (labels == 0) - counts / members)
  want = np.abs(gaps).sum() / len(counts)
  for given in probs, probs.mean(0), np.float32(probs.mean(0)):
    assert measure(given, labels)['ece'] == pytest.approx(want, abs=1e-6)


def test_sums_of_many_examples_keep_their_digits():
  # Counts in float32 end at 2^24, and sums lose digits long before.
  confidence = np.float32(0.999)
  probs = np.tile([confidence, 1 - confidence], [300_000, 1])
  labels = np.zeros(300_000, int)
  got = measure(probs, labels)
  assert got['ece'] == pytest.approx(1 - float(confidence), rel=1e-7)
  assert got['nll'] == pytest.approx(-np.log(float(confidence)), rel=1e-7)


def test_a_single_model_has_no_diversity():
  (probs,) = _probs(members=1)
  got = measure(probs, _LABELS)
  assert got == measure(probs[None], _LABELS)
  assert got['nll'] == got['gibbs_nll'] and 'disagreement' not in got


def test_predictions_are_measured_by_their_members():
  probs = _probs().astype(np.float32)
  rest = {
    name: np.zeros(200)
    for name in ud.Predictions.__dataclass_fields__
    if not name.endswith('probabilities')
  }
  predictions = ud.Predictions(
    probabilities=probs.mean(0),
    member_probabilities=probs.swapaxes(0, 1),
    **rest,
  )
  assert measure(predictions, _LABELS) == measure(probs, _LABELS)


@pytest.mark.parametrize(
  'probs, labels, name, expected',
  [
    (_probs().swapaxes(0, 1), _LABELS, 'probs', '[M, 200, 3]'),
    (_probs()[:, :50], _LABELS, 'probs', '[M, 200, 3]'),
    (np.log(_probs()), _LABELS, 'probs', 'probabilities'),
    (_probs(), _LABELS + 1, 'labels', '0 to 2'),
    (_probs(), _LABELS / 1, 'labels', 'integers [200]'),
    (_probs()[:, :0], _LABELS[:0], 'labels', 'at least one'),
    (0.5, _LABELS, 'probs', 'floats'),
    (_probs(), _LABELS[:, None], 'labels', 'integers [200]'),
    (_probs(), 3, 'labels', 'integers'),
    (_probs()[0, :, 1], _LABELS, 'probs', 'every class'),
    (_probs()[0, :, 1:2], _LABELS, 'probs', 'every class'),
    (_probs()[:, :, 1:2], _LABELS, 'probs', 'every class'),
    (_probs()[0, :2], _LABELS[:1], 'probs', '[1, 3]'),
    ([[0.5, 0.5], [1.0]], [0, 1], 'probs', 'an array'),
    (_probs() > 0.5, _LABELS, 'probs', 'floats'),
  ],
)
def test_refuses_what_is_no_probability(probs, labels, name, expected):
  with refusals.refused(name, expected=expected):
    measure(probs, labels)


def test_a_wrong_value_is_named():
  labels = _LABELS.copy()
  labels[7] = -1
  with refusals.refused('labels', -1):
    measure(_probs(), labels)
  probs = np.tile([1.25, -0.25, 0], [200, 1])
  with refusals.refused('probs') as caught:
    measure(probs, _LABELS)
  assert '-0.25' in caught.value.value and 'softmax' not in caught.value.hint
  with refusals.refused('probs') as caught:
    measure(9 * _probs() - 3, _LABELS)
  assert 'softmax' in caught.value.hint


@pytest.mark.parametrize('shape', [(200,), (200, 1), (4, 200, 1)])
def test_the_advice_for_two_classes_works(shape):
  p = np.random.default_rng(2).random(shape)
  labels = _LABELS % 2
  with refusals.refused('probs', f'float64 {list(shape)}') as caught:
    measure(p, labels)
  mended = eval(caught.value.hint.split(': ')[1], {'np': np, 'p': p})
  assert measure(mended, labels)['member_accuracy'] == pytest.approx(
    np.mean((p.reshape(-1, 200) > 0.5) == labels)
  )


def test_bfloat16_is_measured():
  probs = tf.cast(_probs(), tf.bfloat16)
  got, want = measure(probs, _LABELS), measure(np.float32(_probs()), _LABELS)
  for name in 'nll', 'ece':
    # With 8 significant bits, rounding changes a number by at most 2^-8 of it.
    assert got[name] == pytest.approx(want[name], abs=2**-8), name
