"""Tests that batches are the same, bit by bit, as in all earlier versions.

Resumed runs, teacher caches and stored predictions of older versions need the
same batches. The digests were computed at commit 411d994.
"""

import hashlib

from uncertainty_distill import configs, data

import numpy as np
import pytest
import tensorflow as tf
import tiny_dataset


@pytest.fixture(name='path', scope='module')
def _path(tmp_path_factory):
  """An .npz file of 60 training and 25 test images of five classes."""
  # RandomState promises the same numbers in every version of NumPy.
  rng = np.random.RandomState(7)
  path = tmp_path_factory.mktemp('golden') / 'own.npz'
  arrays = {}
  for split, number in ('train', 60), ('test', 25):
    shape = number, 6, 5, 3
    arrays[f'{split}_images'] = rng.randint(0, 256, shape).astype(np.uint8)
    arrays[f'{split}_labels'] = rng.randint(0, 5, number)
  np.savez(path, **arrays)
  return str(path)


def _open(path, index):
  """Returns the examples of a subset to train on, and those held out."""
  config = configs.TrainDataConfig(name=path, **_SUBSETS[index])
  return data.open_training(data.open_configured(config), config)


def _digest(batches):
  """Returns the first digits of the SHA-256 of all batches, in order."""
  digest = hashlib.sha256()
  for batch in batches.as_numpy_iterator():
    for name in sorted(batch):
      array = np.ascontiguousarray(batch[name])
      digest.update(f'{name} {array.dtype.str} {array.shape}\n'.encode())
      digest.update(array)
  return digest.hexdigest()[:16]


def _logits(number):
  """Returns a function that gives a teacher's logits, float16 [b, 2, 5]."""
  return lambda view, rows: tf.cast(
    tf.gather(tf.reshape(tf.range(number * 10), [number, 2, 5]), rows)
    + 1000 * tf.cast(view, tf.int32),
    tf.float16,
  )


_SUBSETS = [
  {},
  {'num_examples': 41},
  {'held_out_fraction': 0.2},
  {'num_examples': 50, 'held_out_fraction': 0.3},
  {'classes': (3, 0, 4)},
  {'classes': (4, 1, 2), 'num_examples': 30, 'held_out_fraction': 0.25},
]
_WANT = {
  ('training', 0): '6095443d01572609',
  ('training', 1): '13de50da9f035843',
  ('training', 2): 'a64b8202695591b5',
  ('training', 3): '7a34e099d35ed08b',
  ('training', 4): '624f57f9d6916ac8',
  ('training', 5): '1f92f602ce48d03a',
  ('view', 0): '89936a1330f1ff42',
  ('view', 1): '03ea06e80bdf878e',
  ('view', 2): 'b78e5c5d84586eb7',
  ('view', 3): 'a0bc837faa711287',
  ('view', 4): '9b7d68b52e2328f6',
  ('view', 5): '1cd01d2c93c9e681',
  ('held out', 2): '23ab3cf9b93d1dba',
  ('held out', 3): '90aa0253f8eba21a',
  ('held out', 5): 'f02159fac23e6bff',
  ('fingerprint', 0): 'd2bd5598645a55d3',
  ('fingerprint', 1): 'a2ce93c1c6d4c2b3',
  ('fingerprint', 2): 'd196385c99636818',
  ('fingerprint', 3): 'd3b2c2bdd06fbbc5',
  ('fingerprint', 4): '3fed88255cb7ebcb',
  ('fingerprint', 5): 'e75bfa2c4d9dd175',
  ('rows', 0): '0e303f8413645bd8',
  ('rows', 1): 'dc56578ae9f1cb6e',
  ('rows', 2): 'cb3a041b6af4fe01',
  ('rows', 3): 'e8daee805adea5f6',
  ('rows', 4): 'c1df21a8f83d1ef7',
  ('rows', 5): 'f6828b04c011e6d2',
  ('evaluation', ()): 'bb0e417c104f68a3',
  ('evaluation', (3, 0, 4)): 'c3435875185ee92f',
}


@pytest.mark.parametrize('index', range(len(_SUBSETS)))
def test_training_batches(path, index):
  training_set, _ = _open(path, index)
  context = tf.distribute.InputContext(2, 1, 4) if index % 2 else None
  batches = tiny_dataset.training_batches(
    training_set,
    8,
    seed=index,
    padding=index % 3,
    flip=index != 2,
    num_views=2 * (index % 2),
    view_seed=9 if index > 2 else index,
    teacher_logits=_logits(len(training_set)) if index == 3 else None,
    start_step=5 * index,
    context=context,
  )
  assert _digest(batches.take(20)) == _WANT['training', index]


@pytest.mark.parametrize('index', range(len(_SUBSETS)))
def test_view_batches(path, index):
  training_set, _ = _open(path, index)
  context = tf.distribute.InputContext(1, 0, 2) if index % 2 else None
  views = data.Views(training_set, seed=4, padding=2, flip=True)
  batches = data.view_batches(views, [1, 0], 8, context)
  assert _digest(batches) == _WANT['view', index]


@pytest.mark.parametrize('index', range(len(_SUBSETS)))
def test_held_out_examples(path, index):
  _, held_out = _open(path, index)
  if not len(held_out):
    pytest.skip('nothing is held out')
  batches = data.evaluation_batches(held_out, 8)
  assert _digest(batches) == _WANT['held out', index]


@pytest.mark.parametrize('index', range(len(_SUBSETS)))
def test_fingerprint_of_the_training_set(path, index):
  training_set, _ = _open(path, index)
  assert training_set.fingerprint[:16] == _WANT['fingerprint', index]


@pytest.mark.parametrize('index', range(len(_SUBSETS)))
def test_rows_of_stored_predictions(path, index):
  training_set, _ = _open(path, index)
  rows = training_set.rows.astype(np.int64)
  digest = hashlib.sha256(rows).hexdigest()
  assert digest[:16] == _WANT['rows', index]


@pytest.mark.parametrize('classes', [(), (3, 0, 4)])
def test_evaluation_batches(path, classes):
  test = data.open_dataset(path, classes=classes).test
  context = tf.distribute.InputContext(2, 1, 4) if classes else None
  batches = data.evaluation_batches(test, 12, context)
  assert _digest(batches) == _WANT['evaluation', classes]
