"""Tests of sources of images, and of parts of them."""

import pickle

from uncertainty_distill import data

import numpy as np
import pytest
import refusals
import tensorflow as tf
import tiny_dataset


def _parts(source):
  """Returns parts of 30 numbered images, and the rows that they hold."""
  training, held_out = source.take(20).hold_out(5)
  nested = source.of_classes([9, 3, 21, 14]).take(3).of_classes([3, 0])
  rows = np.random.RandomState(0).permutation(20)
  return [
    (source, np.arange(30)),
    (source.take(4), np.arange(4)),
    (source.of_classes([9, 3, 21]), np.array([3, 9, 21])),
    (source.of_other_classes(range(2, 29)), np.array([0, 1, 29])),
    (training, np.sort(rows[5:])),
    (held_out, np.sort(rows[:5])),
    (nested, np.array([9, 14])),
  ]


def test_parts_read_the_rows_of_the_whole_everywhere():
  source = tiny_dataset.numbered(30)
  for part, rows in _parts(source):
    assert len(part) == len(part.labels) == len(rows)
    want = source.images[rows]
    np.testing.assert_array_equal(part.images, want)
    np.testing.assert_array_equal(part.numpy(slice(1, 3)), want[1:3])
    picked = np.array([1, 0, 1])
    np.testing.assert_array_equal(part.numpy(picked), want[picked])
    # In a graph, the shape is static.
    numbers = tf.data.Dataset.from_tensors(tf.constant(picked, tf.int32))
    (batch,) = numbers.map(part.read)
    np.testing.assert_array_equal(batch, want[picked])
    assert numbers.map(part.read).element_spec.shape == (3, 4, 4, 3)


def test_chosen_classes_are_numbered_anew():
  part = tiny_dataset.numbered(30).of_classes([9, 3, 21])
  np.testing.assert_array_equal(part.labels, [1, 0, 2])
  assert part.labels.dtype == np.int32
  assert part.spec.class_names == ('9', '3', '21')
  others = tiny_dataset.numbered(5).of_other_classes([3, 1])
  np.testing.assert_array_equal(others.labels, [0, 2, 4])


def test_take():
  source = tiny_dataset.numbered(30)
  assert source.take(0) is source
  assert len(source.take(30)) == 30
  for wrong in -1, 31:
    with refusals.refused('num_examples', wrong, '30'):
      source.take(wrong)


def test_images_and_labels_cannot_be_written_to():
  images, labels = np.zeros([3, 4, 4, 3], np.uint8), np.arange(3)
  source = data.ArraySource(tiny_dataset.make().spec, images, labels)
  for array in source.images, source.labels:
    with pytest.raises(ValueError, match='read-only'):
      array[0] = 1
  labels[0] = 2  # The given arrays can still be written to.
  assert source.labels[0] == 0


def test_fingerprints_are_of_images_and_labels():
  images = np.zeros([2000, 4, 4, 3], np.uint8)
  spec, labels = tiny_dataset.make(size=4).spec, np.zeros(2000)

  def fingerprint(images, labels):
    return data.ArraySource(spec, images, labels).fingerprint

  first = fingerprint(images, labels)
  assert first == fingerprint(images.copy(), labels.copy())
  # The change is in the last image, not in the first chunk that is read.
  changed, others = images.copy(), labels.copy()
  changed[-1, -1, -1, -1] = 1
  others[-1] = 1
  different = {first, fingerprint(changed, labels), fingerprint(images, others)}
  assert len(different) == 3
  source = data.ArraySource(spec, images, labels)
  assert source.take(1999).fingerprint != source.fingerprint == first
  assert source.take(1999).fingerprint == fingerprint(
    images[:1999], labels[:1999]
  )


def test_a_pipeline_keeps_the_images_on_its_own_host():
  source = tiny_dataset.numbered(30)
  first, second = tf.config.list_logical_devices('CPU')[:2]
  captured = []

  def read(rows):
    images = source.take(20).read(rows)
    captured.extend(rows.graph.external_captures)
    return images

  for device in first, second, second:
    with tf.device(device.name):
      (batch,) = tf.data.Dataset.from_tensors([3, 1]).map(read)
    np.testing.assert_array_equal(batch, source.images[[3, 1]])
  devices = [tf.DeviceSpec.from_string(x.device) for x in captured]
  assert [d.device_index for d in devices] == [0, 1, 1]
  # The images are copied to a host only once.
  assert captured[1] is captured[2]


def test_a_source_can_be_sent_to_another_process():
  source = tiny_dataset.numbered(30).take(5)
  source.read(tf.constant([1]))
  copy = pickle.loads(pickle.dumps(source))
  np.testing.assert_array_equal(copy.images, source.images)
  assert copy.spec == source.spec and list(copy.labels) == list(range(5))


def test_all_rows_have_the_fingerprint_of_their_source_without_reading():
  source = tiny_dataset.make(number=9)
  want = data.ArraySource(
    source.spec, source.numpy(slice(None)), source.labels
  ).fingerprint
  whole = source.take(0)
  assert source.fingerprint == want
  source.numpy = None
  assert data.Subset(source, np.arange(9)).fingerprint == want
  assert whole.fingerprint == want
