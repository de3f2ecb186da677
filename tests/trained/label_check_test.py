"""Tests of checking models against labeled images."""

import types

from uncertainty_distill import data, trained
from uncertainty_distill.trained import label_check

import nearest
import numpy as np
import pytest
import refusals
import tensorflow as tf
import tiny_runs


def _check(*paths, refuses=True):
  dataset = data.open_dataset('digits')
  model = trained.open_trained(list(map(str, paths)), 'teacher')
  model.check_fits((16, 16, 3), 10, lambda: dataset.train.numpy(slice(32)))
  check = trained.LabelCheck(dataset.train, 'training images', refuses)
  check.check_model(model)


def test_a_model_that_agrees(tmp_path, caplog):
  _check(nearest.save(tmp_path / 'm'))
  assert not [m for m in caplog.messages if 'chance' in m]


def test_one_member_has_its_classes_in_another_order(tmp_path):
  good = nearest.save(tmp_path / 'good')
  wrong = nearest.save(tmp_path / 'wrong', nearest.permuted)
  with refusals.refused('teacher', wrong, 'order of the labels') as caught:
    _check(good, wrong)
  assert ', '.join(map(str, nearest.ORDER)) in caught.value.hint
  assert '`check_labels`' in caught.value.hint


def test_both_readings_are_in_the_warning(tmp_path, caplog):
  swapped = [0, 1, 3, 2, 4, 5, 6, 7, 8, 9]
  path = nearest.save(
    tmp_path / 'm',
    lambda m, x: tf.stack(
      [m.logits(x / 255), tf.gather(m.logits(x / 255), swapped, axis=1)], 1
    ),
    output='member_logits',
  )
  _check(path, refuses=False)
  (message,) = [m for m in caplog.messages if 'order' in m]
  assert message.startswith('member 1 of')
  assert ', '.join(map(str, swapped)) in message


@pytest.mark.parametrize(
  'to_unit',
  [
    lambda x: x,
    lambda x: (x + 1) / 2,
    lambda x: (
      x * data.open_dataset('digits').spec.stddev
      + data.open_dataset('digits').spec.mean
    ),
  ],
)
def test_a_model_of_images_at_another_scale(to_unit, tmp_path):
  path = nearest.save(
    tmp_path / 'm', lambda m, x: m.logits(to_unit(x)), tf.float32
  )
  with refusals.refused('teacher', path, '0 to 255'):
    _check(path)


def test_softmax_of_probabilities(tmp_path):
  path = nearest.save(
    tmp_path / 'm',
    lambda m, x: tf.nn.softmax(tf.nn.softmax(3 * m.logits(x / 255))),
    output='probabilities',
  )
  with refusals.refused('teacher', path, 'logits or probabilities'):
    _check(path)


def test_untrained_networks_are_near_chance_and_no_error(tmp_path, caplog):
  paths = [
    tiny_runs.save(str(tmp_path / f'run_{i}'), tiny_runs.config(), seed=i)
    for i in range(5)
  ]
  _check(*paths)
  (message,) = caplog.messages
  assert message.startswith(', '.join(paths))
  assert '256 training images' in message


def _predictions(logits, path='a.npz'):
  """Checks stored predictions of the training digits."""
  train = data.open_dataset('digits').train
  model = types.SimpleNamespace(name='teacher', paths=path.split(','))
  check = trained.LabelCheck(train, 'training images')
  check.check_predictions(model, logits[:, check.rows])


def test_stored_predictions():
  labels = data.open_dataset('digits').train.labels
  sure = 8.0 * np.eye(10)[labels][None]
  _predictions(sure)
  wrong = np.roll(sure, 1, -1)
  with refusals.refused('teacher', 'a.npz', 'order of the labels') as caught:
    _predictions(np.concatenate([sure, wrong]))
  assert 'member 1 of a.npz' in str(caught.value)
  assert '[1, 2, 3, 4, 5, 6, 7, 8, 9, 0]' in caught.value.hint
  # If each member has a file of its own, the error names the file.
  with refusals.refused('teacher', 'b.npz', 'order of the labels'):
    _predictions(np.concatenate([sure, wrong]), 'a.npz,b.npz')
  with refusals.refused('teacher', 'a.npz', 'logits or probabilities'):
    _predictions(np.eye(10)[labels][None])


def test_what_is_drawn():
  labels = np.repeat(np.arange(10), 100)
  rows = label_check.draw(labels)
  np.testing.assert_array_equal(rows, label_check.draw(labels))
  counts = np.bincount(labels[rows])
  assert counts.sum() == 256 and set(counts) == {25, 26}
  assert (np.diff(rows) > 0).all()
  # All images of rare classes are drawn.
  rare = np.r_[np.zeros(1000, int), np.ones(7, int)]
  np.testing.assert_array_equal(
    np.bincount(rare[label_check.draw(rare)]), [249, 7]
  )
  assert len(label_check.draw(np.arange(2000) % 100)) == 500
  assert len(label_check.draw(np.arange(5) % 2)) == 5
