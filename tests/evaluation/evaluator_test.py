"""Tests of the evaluator against scikit-learn on logits from direct calls."""

import itertools

from uncertainty_distill import data, evaluation
from uncertainty_distill.data import corrupted_sets, corruptions
from uncertainty_distill.metrics import ranking

import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.metrics
import tensorflow as tf
import tf_keras
from refusals import refused

_NOISE = corruptions.Shift(corruptions.Corruption.GAUSSIAN_NOISE, 5)
_CONTRAST = corruptions.Shift(corruptions.Corruption.CONTRAST, 3)
_SHIFTS = [corruptions.CLEAN, _NOISE, _CONTRAST]


class _Linear(tf_keras.Model):
  """A model whose members are linear in the pixels; counts its traces."""

  def __init__(self, members, seed):
    super().__init__()
    generator = np.random.default_rng(seed)
    self.traces = 0
    self._kernel = self.add_weight(
      'kernel',
      [members, 16 * 16 * 3, 10],
      initializer=tf_keras.initializers.Constant(
        generator.normal(size=[members, 16 * 16 * 3, 10]) * 0.1
      ),
    )

  def call(self, images, training=None):
    assert not training
    self.traces += 1
    pixels = tf.cast(tf.reshape(images, [-1, 16 * 16 * 3]), tf.float32) / 255
    return tf.einsum('bp,epk->ebk', pixels, self._kernel)


def _dataset(num_examples=115):
  return data.open_dataset('digits').test.take(num_examples)


def _expected(model, shift, dataset, seed=0):
  """Returns the metrics of the whole set at once, most from scikit-learn."""
  images = dataset.images
  if shift.corruption:
    images = corruptions.corrupt(images, shift, seed)
  logits = model(images, training=False).numpy().astype(np.float64)
  members = scipy.special.softmax(logits, -1)
  probs, labels, classes = members.mean(0), dataset.labels, range(10)
  confidence, right = probs.max(-1), probs.argmax(-1) == labels
  bins = np.ceil(confidence * 15)
  gaps = [np.sum((confidence - right)[bins == b]) for b in set(bins)]
  ranked = confidence, right.astype(np.float64)
  return {
    **(_diversity(members, labels) if len(members) > 1 else {}),
    'auroc_misclassification': sklearn.metrics.roc_auc_score(right, confidence),
    'adaptive_ece': ranking.adaptive_ece(*ranked),
    'aurc': ranking.aurc(*ranked),
    'augrc': ranking.augrc(*ranked),
    'risk_at_80': ranking.risk_at_coverage(*ranked),
    'coverage_at_5': ranking.coverage_at_risk(*ranked),
    'accuracy': sklearn.metrics.accuracy_score(labels, probs.argmax(-1)),
    'nll': sklearn.metrics.log_loss(labels, probs, labels=classes),
    'gibbs_nll': np.mean(
      [sklearn.metrics.log_loss(labels, p, labels=classes) for p in members]
    ),
    'member_accuracy': np.mean(
      [sklearn.metrics.accuracy_score(labels, p.argmax(-1)) for p in members]
    ),
    'brier': np.mean(np.sum((probs - np.eye(10)[labels]) ** 2, -1)),
    'ece': np.abs(gaps).sum() / len(labels),
    'overconfidence': np.maximum(gaps, 0).sum() / len(labels),
    'underconfidence': -np.minimum(gaps, 0).sum() / len(labels),
    'classwise_ece': np.mean([_ece(probs[:, k], labels == k) for k in classes]),
  }


def _ece(probs, right):
  """Returns the calibration error of the probabilities of one class."""
  bins = np.ceil(probs * 15)
  gaps = [np.sum((probs - right)[bins == b]) for b in set(bins)]
  return np.abs(gaps).sum() / len(right)


def _diversity(members, labels):
  """Returns the diversity metrics, with a loop over all pairs of members."""
  pairs = list(itertools.permutations(members, 2))
  of_label = members[:, np.arange(len(labels)), labels]
  return {
    'disagreement': np.mean([p.argmax(-1) != q.argmax(-1) for p, q in pairs]),
    'pairwise_kl': np.mean(
      [scipy.stats.entropy(p, q, axis=-1) for p, q in pairs]
    ),
    'mutual_information': np.mean(
      scipy.stats.entropy(members.mean(0), axis=-1)
      - scipy.stats.entropy(members, axis=-1).mean(0)
    ),
    'masegosa_variance': np.mean(of_label.var(0) / of_label.max(0) ** 2 / 2),
  }


def _evaluate(models, shifts, batch, strategy=None, dataset=None, seed=0):
  candidates = [
    evaluation.ScoredModel(f'model_{i}', i, model)
    for i, model in enumerate(models)
  ]
  dataset = dataset or _dataset()
  source = corrupted_sets.FormulaSet(dataset, seed)
  evaluator = evaluation.Evaluator(candidates, batch, strategy)
  return evaluator.run(dataset, shifts, source)


@pytest.mark.parametrize('batch', [50, 115, 500])
def test_metrics_equal_scikit_learn(batch):
  # The last batch of the 115 examples has 15, is full, or is mostly padding.
  model, dataset = _Linear(3, seed=0), _dataset()
  results = _evaluate([model], _SHIFTS, batch)
  assert [result.shift for result in results] == _SHIFTS
  for result in results:
    assert (result.model, result.seed) == ('model_0', 0)
    assert result.num_examples == sum(result.bin_count) == 115
    expected = _expected(model, result.shift, dataset)
    assert result.metrics == pytest.approx(expected, rel=1e-4), result.shift
  # The shifts do make a difference.
  assert len({result.metrics['nll'] for result in results}) == 3


def test_models_together_equal_each_alone():
  models = [_Linear(1, seed=1), _Linear(4, seed=2)]
  together = _evaluate(models, _SHIFTS, 50)
  assert [(r.model, r.shift) for r in together] == [
    (f'model_{i}', shift) for shift in _SHIFTS for i in range(2)
  ]
  for index, model in enumerate(models):
    candidate = evaluation.ScoredModel(f'model_{index}', index, model)
    alone = evaluation.Evaluator([candidate], 50).run(_dataset(), _SHIFTS)
    assert alone == together[index::2]


def test_a_model_at_its_temperature():
  model = _Linear(3, seed=0)
  candidates = [
    evaluation.ScoredModel('plain', 0, model, 2.5),
    evaluation.ScoredModel('scaled', 0, model, 2.5, scaled=True),
  ]
  dataset = _dataset()
  source = corrupted_sets.FormulaSet(dataset, 0)
  shifts = [corruptions.CLEAN, _NOISE]
  results = evaluation.Evaluator(candidates, 50).run(
    dataset, shifts, source, num_corrupted=40
  )
  # Both candidates share one trace, though they are scored differently.
  assert model.traces == 1
  for plain, scaled in (results[:2], results[2:]):
    count = 40 if plain.shift == _NOISE else 115
    assert plain.num_examples == scaled.num_examples == count
    images = source.images(plain.shift, np.arange(count))
    logits = model(images).numpy().astype(np.float64) / 2.5
    probs = scipy.special.softmax(logits, -1).mean(0)
    nll = sklearn.metrics.log_loss(
      dataset.labels[:count], probs, labels=range(10)
    )
    assert scaled.metrics['nll'] == pytest.approx(nll, rel=1e-4)
    assert plain.metrics['scaled_nll'] == scaled.metrics['scaled_nll']
    assert plain.metrics['scaled_nll'] == pytest.approx(nll, rel=1e-4)
    assert plain.metrics['nll'] > 1.05 * nll
    of_clean = 2.5 if plain.shift == corruptions.CLEAN else None
    assert plain.metrics.get('temperature') == of_clean


def test_two_replicas_score_each_example_once(replicas):
  strategy = replicas
  with strategy.scope():
    model = _Linear(3, seed=0)
  # The last batch has 15 of 100 examples, so one replica gets only padding.
  results = _evaluate([model], _SHIFTS, 100, strategy)
  assert model.traces == 2
  for result in results:
    assert result.num_examples == 115
    expected = _expected(model, result.shift, _dataset())
    assert result.metrics == pytest.approx(expected, rel=1e-4)
  with refused('global_batch_size', 35, '2 replicas'):
    _evaluate([model], _SHIFTS, 35, strategy)


def test_noise_is_a_function_of_the_seed_and_the_example():
  model = _Linear(1, seed=0)
  (first,) = _evaluate([model], [_NOISE], 50)
  (again,) = _evaluate([model], [_NOISE], 50)
  assert first == again
  # The batch size does not matter.
  (other_batch,) = _evaluate([model], [_NOISE], 32)
  assert other_batch.metrics == pytest.approx(first.metrics, rel=1e-5)
  (other_seed,) = _evaluate([model], [_NOISE], 50, seed=1)
  assert other_seed.metrics['nll'] != pytest.approx(first.metrics['nll'], 1e-5)
  expected = _expected(model, _NOISE, _dataset(), seed=1)
  assert other_seed.metrics == pytest.approx(expected, rel=1e-4)


def test_parameters_are_counted():
  model = _Linear(2, seed=0)
  assert evaluation.count_parameters(model) == 2 * 16 * 16 * 3 * 10
