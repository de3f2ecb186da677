"""Tests of the task's inputs and of its validation step."""

import copy

from uncertainty_distill import configs, data, metrics

import experiments
import numpy as np
import tensorflow as tf


def _task(text=''):
  config = configs.load_config(
    'digits_wrn10_1',
    params_override=(
      'task.objective.kind=cross_entropy,task.model.ensemble_size=2,' + text
    ),
  )
  return experiments.task(config)


def test_validation_masks_padding():
  task = _task()
  model = task.build_model()
  (metric,) = task.build_metrics(training=False)
  dataset = data.open_dataset('digits').test.take(8)
  images, labels = tf.constant(dataset.images), tf.constant(dataset.labels)
  for mask in [True] * 5 + [False] * 3, [True] * 8:
    task.validation_step(
      {'images': images, 'labels': labels, 'mask': tf.constant(mask)},
      model,
      [metric],
    )
  logits = model(images, training=False)
  expected = [
    metrics.sufficient_statistics(logits[:, :n], labels[:n]) for n in (5, 8)
  ]
  for name, value in metric.statistics().items():
    np.testing.assert_allclose(
      value, expected[0][name] + expected[1][name], rtol=1e-5, atol=1e-6
    )


def test_a_copy_of_the_training_data_gives_training_batches():
  task = _task('task.seed=3')
  train_data = task.task_config.train_data
  (batch,) = task.build_inputs(train_data).take(1)
  (again,) = task.build_inputs(copy.deepcopy(train_data)).take(1)
  np.testing.assert_array_equal(again['images'], batch['images'])
  assert 'mask' not in again


def test_training_batches_are_those_of_the_configuration():
  task = _task(
    'task.train_data.num_examples=70,task.train_data.crop_padding=0,task.seed=3'
  )
  train_data = task.task_config.train_data
  # An epoch has one batch, so step 2 is the third batch.
  batches = list(task.build_inputs(train_data).take(3))
  (third,) = task.build_inputs(train_data, start_step=2).take(1)
  np.testing.assert_array_equal(third['images'], batches[2]['images'])
  # Images are neither cropped nor flipped: each is one of the first 70.
  images = data.open_dataset('digits').train.images[:70]
  known = {image.tobytes() for image in images}
  for batch in batches:
    assert batch['images'].shape == (64, 16, 16, 3)
    assert all(image.tobytes() in known for image in batch['images'].numpy())
  assert not np.array_equal(batches[0]['labels'], batches[1]['labels'])


def test_validation_batches_are_those_of_the_configuration():
  task = _task(
    'task.validation_data.num_examples=50,'
    'task.validation_data.global_batch_size=30'
  )
  batches = list(task.build_inputs(task.task_config.validation_data))
  assert [int(np.sum(batch['mask'])) for batch in batches] == [30, 20]
  np.testing.assert_array_equal(
    np.concatenate([batch['images'] for batch in batches])[:50],
    data.open_dataset('digits').test.images[:50],
  )


def test_what_is_held_out_is_not_trained_on():
  task = _task(
    'task.train_data.num_examples=70,task.train_data.crop_padding=0,'
    'task.train_data.global_batch_size=7,'
    'task.train_data.held_out_fraction=0.2'
  )
  train_data = task.task_config.train_data
  used, held_out = data.open_training(
    data.open_configured(train_data), train_data
  )
  assert (len(used.labels), len(held_out.labels)) == (56, 14)
  whole = data.open_dataset('digits').train.images[:70]
  parts = np.concatenate([used.images, held_out.images])
  assert sorted(i.tobytes() for i in parts) == sorted(
    i.tobytes() for i in whole
  )
  # An epoch of eight batches shows each used example once, no held-out ones.
  seen = [
    image.tobytes()
    for batch in task.build_inputs(train_data).take(8)
    for image in batch['images'].numpy()
  ]
  assert sorted(seen) == sorted(image.tobytes() for image in used.images)
