"""Tests of views that cycle, and of a teacher's logits beside the images."""

from uncertainty_distill import data

import numpy as np
import pytest
import tensorflow as tf
import tiny_dataset

_OPTIONS = {'padding': 1, 'flip': True}


def _views(dataset, count, seed):
  """Returns whole views, uint8 [count, N, H, W, C]."""
  return np.stack(
    [
      data.augment(
        dataset.images, data.augmentation_table(13, seed, n, 1, True), 1
      )
      for n in range(count)
    ]
  )


def _stored(view, rows):
  """Returns logits that tell their view and example: float16 [b, 2, 3]."""
  rows = tf.cast(rows, tf.float16)[:, None, None]
  return 100 * tf.cast(view, tf.float16) + tf.tile(rows, [1, 2, 3])


def _take(count, **kwargs):
  batches = tiny_dataset.training_batches(
    tiny_dataset.numbered(13), 4, **_OPTIONS, **kwargs
  )
  taken = list(batches.take(count).as_numpy_iterator())
  return {key: np.concatenate([b[key] for b in taken]) for key in taken[0]}


def test_views_cycle():
  # An epoch has three steps; epochs 0 to 4 train on views 0, 1, 0, 1, 0.
  taken = _take(15, seed=3, num_views=2, view_seed=8)
  views = _views(tiny_dataset.numbered(13), 2, 8)
  order = np.repeat([0, 1, 0, 1, 0], 12)
  np.testing.assert_array_equal(taken['images'], views[order, taken['labels']])
  # The examples still come in another order in every epoch.
  epochs = taken['labels'].reshape(5, 12)
  assert len({tuple(epoch) for epoch in epochs}) == 5


def test_views_for_all_epochs_are_those_without_end():
  endless = _take(9, seed=3)
  enough = _take(9, seed=3, num_views=3)
  short = _take(9, seed=3, num_views=2)
  for key in 'images', 'labels':
    np.testing.assert_array_equal(enough[key], endless[key])
  assert (short['images'][:24] == endless['images'][:24]).all()
  assert (short['images'][24:] != endless['images'][24:]).any()


def test_seeds_of_order_and_views_are_apart():
  one, two = (_take(3, seed=s, view_seed=5) for s in (3, 4))
  assert (one['labels'] != two['labels']).any()
  views = _views(tiny_dataset.numbered(13), 1, 5)[0]
  for taken in one, two:
    np.testing.assert_array_equal(taken['images'], views[taken['labels']])


@pytest.mark.parametrize('start_step', [0, 1, 5])
@pytest.mark.parametrize('pipelines, replicas', [(1, 1), (1, 2), (2, 4)])
def test_logits_stay_beside_their_images(start_step, pipelines, replicas):
  per_pipeline = replicas // pipelines
  for pipeline in range(pipelines):
    context = tf.distribute.InputContext(pipelines, pipeline, replicas)
    # Seven steps cross the ends of at least two epochs.
    taken = _take(
      7 * per_pipeline,
      seed=3,
      num_views=2,
      teacher_logits=_stored,
      start_step=start_step,
      context=context,
    )
    steps = np.arange(start_step, start_step + 7)
    epochs = np.repeat(steps // 3, 4 // pipelines)
    want = 100 * (epochs % 2) + taken['labels']
    assert taken['teacher_logits'].shape == (len(want), 2, 3)
    assert (taken['teacher_logits'] == want[:, None, None]).all()


def test_logits_have_static_shapes():
  batches = tiny_dataset.training_batches(
    tiny_dataset.numbered(13),
    6,
    seed=0,
    **_OPTIONS,
    teacher_logits=_stored,
    context=tf.distribute.InputContext(1, 0, 2),
  )
  spec = batches.element_spec['teacher_logits']
  assert (spec.shape, spec.dtype) == ((3, 2, 3), tf.float16)


@pytest.mark.parametrize(
  'batch, pipelines, replicas',
  [
    (5, 1, 1),
    (13, 1, 1),
    (26, 1, 1),
    (6, 1, 2),
    (8, 2, 4),
  ],
)
def test_whole_views_in_order(batch, pipelines, replicas):
  dataset, per_pipeline = tiny_dataset.numbered(13), replicas // pipelines
  steps = -(-13 // batch)
  taken = []
  for pipeline in range(pipelines):
    batches = data.view_batches(
      data.Views(dataset, seed=8, **_OPTIONS),
      [2, 0],
      batch,
      tf.distribute.InputContext(pipelines, pipeline, replicas),
    )
    images = np.stack([b['images'] for b in batches.as_numpy_iterator()])
    taken.append(images.reshape(2, steps, -1, 4, 4, 3))
    assert len(images) == 2 * steps * per_pipeline
  # Each step joins the pipelines' rows; the padding at the end is cut off.
  joined = np.concatenate(taken, axis=2).reshape(2, -1, 4, 4, 3)[:, :13]
  np.testing.assert_array_equal(joined, _views(dataset, 3, 8)[[2, 0]])
