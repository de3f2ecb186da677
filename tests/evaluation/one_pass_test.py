"""Tests of the single pass over all sets of images, and of ranking metrics."""

from uncertainty_distill import data, evaluation, metrics
from uncertainty_distill.data import corrupted_sets, corruptions
from uncertainty_distill.metrics import ranking

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
import tiny_dataset

_CONTRAST = corruptions.Corruption.CONTRAST
_SHIFTS = [corruptions.CLEAN, *corruptions.shifts([_CONTRAST], [1, 5])]


class _Stored(corrupted_sets.CorruptedSet):
  """Corrupted images that record which images were asked for."""

  def __init__(self, dataset):
    super().__init__(dataset, 'stored')
    self.asked = []

  def _corrupted(self, shift, rows):
    self.asked.append((shift, rows[0], rows[-1] + 1))
    return self.dataset.numpy(rows) // (1 + shift.severity)


def _model(members, seed):
  """Returns a model with small random logits [members, B, 10]."""
  images = tf_keras.Input([16, 16, 3], dtype=tf.uint8)
  flat = tf_keras.layers.Flatten()(tf.cast(images, tf.float32))
  logits = []
  for member in range(members):
    initializer = tf_keras.initializers.RandomNormal(0, 5e-4, seed + member)
    layer = tf_keras.layers.Dense(10, kernel_initializer=initializer)
    logits.append(layer(flat))
  return tf_keras.Model(images, tf.stack(logits))


def _candidates():
  return [
    evaluation.ScoredModel('one', 0, _model(1, 1)),
    evaluation.ScoredModel('three', None, _model(3, 2)),
  ]


def _want(candidate, images, labels):
  """Returns a model's metrics and scores from one call on all examples."""
  logits = candidate.network(images)
  sums = metrics.sufficient_statistics(logits, labels)
  values = metrics.compute_metrics(sums)
  probs = tf.reduce_mean(tf.nn.softmax(logits), 0)
  gaps = metrics.class_gaps(probs, labels, tf.ones(len(labels)))
  scores = metrics.example_scores(logits, labels)
  ranked = scores['confidence'].numpy(), scores['correct'].numpy()
  return {
    **{name: float(value) for name, value in values.items()},
    **metrics.confidence_gaps(*(sums[name].numpy() for name in metrics.BINS)),
    'classwise_ece': np.abs(gaps).sum() / 10 / len(labels),
    'adaptive_ece': ranking.adaptive_ece(*ranked),
    'aurc': ranking.aurc(*ranked),
    'augrc': ranking.augrc(*ranked),
    'risk_at_80': ranking.risk_at_coverage(*ranked),
    'coverage_at_5': ranking.coverage_at_risk(*ranked),
    'auroc_misclassification': ranking.auroc(*ranked),
  }, {name: values.numpy() for name, values in scores.items()}


@pytest.mark.parametrize('batch', [34, 64])
@pytest.mark.parametrize('num_replicas', [1, 2])
def test_every_example_counts_once(batch, num_replicas, replicas):
  dataset = data.open_dataset('digits').test.take(100)
  unknown = data.open_dataset('digits').train.take(70)
  one = tf.distribute.OneDeviceStrategy('CPU:0')
  strategy = replicas if num_replicas == 2 else one
  assert strategy.num_replicas_in_sync == num_replicas
  source = _Stored(dataset)
  with strategy.scope():
    candidates = _candidates()
  evaluator = evaluation.Evaluator(candidates, batch, strategy)
  results = evaluator.run(dataset, _SHIFTS, source, unknown)
  assert [(r.shift, r.model, r.seed) for r in results] == [
    (shift, c.label, c.seed) for shift in _SHIFTS for c in candidates
  ]
  for result, candidate in zip(results, candidates * 3):
    images = dataset.images // (1 + result.shift.severity)
    want, scores = _want(candidate, images, dataset.labels)
    if result.shift == corruptions.CLEAN:
      _, strange = _want(candidate, unknown.images, unknown.labels)
      want |= ranking.ood_metrics(scores, strange)
    assert result.num_examples == 100
    assert result.images == ('stored' if result.shift.severity else '')
    # In float32 an entropy is known to about 1e-7.
    assert result.metrics == pytest.approx(want, rel=1e-4, abs=1e-7)
  # All models share the images that are read. Clean images come from the
  # dataset, not from the source.
  assert len(source.asked) == 2 * -(-100 // batch)
  assert source.asked[-1] == (_SHIFTS[-1], 100 - (100 % batch or batch), 100)


def test_one_trace_serves_all_sets():
  evaluator = evaluation.Evaluator(_candidates(), 64)
  for examples in 100, 70:
    dataset = data.open_dataset('digits').test.take(examples)
    first = evaluator.run(dataset, _SHIFTS)
    assert (
      evaluator.run(dataset, _SHIFTS, out_of_distribution=dataset)[2:]
      == first[2:]
    )
  assert evaluator.step.experimental_get_tracing_count() == 1


def test_each_trace_has_sums_of_its_own():
  """Tests a model that has one member for every 8 rows of its images."""

  class Model(tf_keras.Model):
    def call(self, images, training=None):
      members = images.shape[1] // 8
      pixels = tf.cast(images[:, :10, 0, 0], tf.float32) / 255
      logits = tf.pad(pixels, [[0, 0], [0, 10 - pixels.shape[1]]])
      return tf.stack([logits * (i + 1) for i in range(members)])

  candidate = evaluation.ScoredModel('a', None, Model())
  evaluator = evaluation.Evaluator([candidate], 16)
  large, small = (tiny_dataset.make(size=size) for size in (16, 8))
  first, other, again = (
    evaluator.run(images, _SHIFTS[:1])[0] for images in (large, small, large)
  )
  assert again == first
  assert 'disagreement' in first.metrics
  assert 'disagreement' not in other.metrics


def test_a_model_without_errors_has_no_auroc():
  images = tf_keras.Input([16, 16, 3], dtype=tf.uint8)
  zero = tf.cast(images[:, 0, 0, :1], tf.float32) * 0.0
  sure = tf_keras.Model(images, tf.concat([zero + 5.0, zero], -1)[None])
  dataset = data.open_dataset('digits').test.take(20)
  labels = np.zeros(20, np.int32)
  dataset = data.ArraySource(dataset.spec, dataset.images, labels)
  candidate = evaluation.ScoredModel('sure', None, sure)
  (result,) = evaluation.Evaluator([candidate], 16).run(dataset, _SHIFTS[:1])
  assert result.metrics['accuracy'] == 1.0 and result.metrics['aurc'] == 0.0
  assert 'auroc_misclassification' not in result.metrics
