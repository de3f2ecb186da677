"""Tests of batches: what every replica of every worker sees, and when."""

from uncertainty_distill import data

import numpy as np
import pytest
import refusals
import tensorflow as tf
import tiny_dataset


def _train(dataset, batch, **kwargs):
  options = {'seed': 3, 'padding': 1, 'flip': True, **kwargs}
  return tiny_dataset.training_batches(dataset, batch, **options)


def _take(batches, count):
  """Returns the images and labels of the next batches, joined."""
  taken = list(batches.take(count).as_numpy_iterator())
  return tuple(
    np.concatenate([batch[key] for batch in taken])
    for key in ('images', 'labels')
  )


def _assert_same(one, other):
  for array, another in zip(one, other, strict=True):
    np.testing.assert_array_equal(array, another)


def _contexts(pipelines, replicas):
  return [
    tf.distribute.InputContext(pipelines, pipeline, replicas)
    for pipeline in range(pipelines)
  ]


def _join(pipelines, steps, per_pipeline):
  """Puts the replicas of all pipelines side by side, step by step."""
  taken = [
    list(batches.take(steps * per_pipeline).as_numpy_iterator())
    for batches in pipelines
  ]
  ordered = [
    batches[step * per_pipeline + replica]
    for step in range(steps)
    for batches in taken
    for replica in range(per_pipeline)
  ]
  keys = ordered[0].keys()
  return {key: np.concatenate([b[key] for b in ordered]) for key in keys}


@pytest.mark.parametrize('num_examples, batch', [(12, 4), (13, 4), (5, 5)])
def test_epochs_are_permutations_without_repetition(num_examples, batch):
  steps = num_examples // batch
  _, labels = _take(
    _train(tiny_dataset.numbered(num_examples), batch), 4 * steps
  )
  epochs = labels.reshape(4, steps * batch)
  for epoch in epochs:
    assert len(set(epoch)) == steps * batch
  assert len({tuple(epoch) for epoch in epochs}) == 4
  assert tuple(epochs[0]) != tuple(range(steps * batch))


def test_every_example_comes_at_every_place():
  _, labels = _take(_train(tiny_dataset.numbered(5), 4), 1000)
  counts = np.zeros([4, 5])
  np.add.at(counts, (np.tile(np.arange(4), 1000), labels), 1)
  np.testing.assert_allclose(counts, 200, atol=60)


def test_images_are_the_views_of_their_examples():
  dataset = tiny_dataset.numbered(10)
  for padding, flip in (1, True), (2, False), (0, True), (0, False):
    images, labels = _take(_train(dataset, 5, padding=padding, flip=flip), 4)
    tables = [data.augmentation_table(10, 3, n, padding, flip) for n in (0, 1)]
    want = np.concatenate(
      [
        data.augment(dataset.images[rows], tf.gather(table, rows), padding)
        for rows, table in zip(np.split(labels, 2), tables)
      ]
    )
    np.testing.assert_array_equal(images, want)
    plain = (images == dataset.images[labels]).all((1, 2, 3))
    assert plain.all() == (not padding and not flip)


def test_batch_size_changes_neither_order_nor_augmentation():
  dataset = tiny_dataset.numbered(12)
  _assert_same(_take(_train(dataset, 4), 6), _take(_train(dataset, 6), 4))


def test_seed_decides():
  dataset = tiny_dataset.numbered(12)
  first = _take(_train(dataset, 4), 6)
  tf.random.set_seed(1)
  _assert_same(first, _take(_train(dataset, 4), 6))
  images, labels = _take(_train(dataset, 4, seed=4), 6)
  assert (labels != first[1]).any() and (images != first[0]).any()


@pytest.mark.parametrize('pipelines, replicas', [(1, 1), (2, 4)])
@pytest.mark.parametrize('start_step', [2, 3, 10])
def test_start_step_skips_batches(start_step, pipelines, replicas):
  # An epoch has three steps, so the batches cross its end.
  dataset, count = tiny_dataset.numbered(13), replicas // pipelines
  for context in _contexts(pipelines, replicas):
    batches = _train(dataset, 4, context=context)
    later = _train(dataset, 4, context=context, start_step=start_step)
    skipped = batches.skip(start_step * count)
    _assert_same(_take(later, 4 * count), _take(skipped, 4 * count))


@pytest.mark.parametrize('num_groups', [1, 2])
@pytest.mark.parametrize('pipelines, replicas', [(1, 2), (2, 2), (2, 4)])
def test_replicas_share_out_a_batch(pipelines, replicas, num_groups):
  dataset, start_step = tiny_dataset.numbered(17), 1
  joined = _join(
    [
      _train(
        dataset,
        8,
        context=context,
        start_step=start_step,
        num_groups=num_groups,
      )
      for context in _contexts(pipelines, replicas)
    ],
    steps=5,
    per_pipeline=replicas // pipelines,
  )
  # Each replica has a share of each group of the batch.
  rows = np.arange(5 * 8).reshape(5, num_groups, replicas, -1)
  rows = rows.transpose(0, 2, 1, 3).ravel()
  images, labels = _take(_train(dataset, 8, start_step=start_step), 5)
  _assert_same(
    (joined['images'], joined['labels']), (images[rows], labels[rows])
  )


@pytest.mark.parametrize('training', [True, False])
def test_a_strategy_shares_out_a_batch(training):
  dataset = tiny_dataset.numbered(11)
  strategy = tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])

  def batches(context=None):
    if training:
      return _train(dataset, 4, context=context)
    return data.evaluation_batches(dataset, 4, context)

  distributed = iter(strategy.distribute_datasets_from_function(batches))
  for want in batches().take(3):
    got = next(distributed)
    for key in want:
      parts = strategy.experimental_local_results(got[key])
      assert len(parts) == 2
      np.testing.assert_array_equal(tf.concat(parts, 0), want[key])


@pytest.mark.parametrize('training', [True, False])
def test_shapes_are_static(training):
  make = _train if training else data.evaluation_batches
  batches = make(
    tiny_dataset.numbered(10), 6, context=tf.distribute.InputContext(1, 0, 2)
  )
  shapes = {key: spec.shape for key, spec in batches.element_spec.items()}
  types = {key: spec.dtype for key, spec in batches.element_spec.items()}
  want = {'images': (3, 4, 4, 3), 'labels': (3,), 'mask': (3,)}
  dtypes = {'images': tf.uint8, 'labels': tf.int32, 'mask': tf.bool}
  keys = ['images', 'labels'] if training else ['images', 'labels', 'mask']
  assert shapes == {key: want[key] for key in keys}
  assert types == {key: dtypes[key] for key in keys}


@pytest.mark.parametrize(
  'batch, pipelines, replicas',
  [
    (1, 1, 1),
    (4, 1, 1),
    (5, 1, 1),
    (10, 1, 1),
    (16, 1, 1),
    (2, 1, 2),
    (4, 1, 2),
    (10, 2, 2),
    (24, 2, 2),
    (3, 1, 3),
    (9, 3, 3),
    (15, 3, 3),
  ],
)
def test_evaluation_scores_each_example_once(batch, pipelines, replicas):
  dataset = tiny_dataset.numbered(10)
  steps = -(-10 // batch)
  datasets = [
    data.evaluation_batches(dataset, batch, context)
    for context in _contexts(pipelines, replicas)
  ]
  per_pipeline = replicas // pipelines
  for batches in datasets:
    assert len(list(batches)) == steps * per_pipeline
  joined = _join(datasets, steps, per_pipeline)
  mask = joined['mask']
  assert len(mask) == steps * batch and mask.sum() == 10
  np.testing.assert_array_equal(joined['labels'][mask], np.arange(10))
  np.testing.assert_array_equal(joined['images'][mask], dataset.images)
  # The padding is a real image, so that nothing divides by zero.
  assert set(joined['labels'][~mask]) <= {9}


@pytest.mark.parametrize(
  'batch, replicas', [(0, 1), (-2, 1), (3, 2), (4, 3), (0, 2)]
)
def test_refuses_a_batch_that_the_replicas_do_not_divide(batch, replicas):
  context = tf.distribute.InputContext(1, 0, replicas)
  for make in _train, data.evaluation_batches:
    with refusals.refused(
      'global_batch_size', batch, f'the {replicas} replicas'
    ):
      make(tiny_dataset.numbered(10), batch, context=context)
