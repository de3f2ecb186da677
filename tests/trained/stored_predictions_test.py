"""Tests of stored predictions: what is read, and what is refused."""

from uncertainty_distill import trained

import numpy as np
import pytest
import refusals
import tensorflow as tf
from scipy import special

_LABELS = np.random.default_rng(0).integers(0, 3, 40).astype(np.int32)


def _logits(members=2, seed=1):
  """Returns logits [M, N, K] that mostly agree with the labels."""
  noise = np.random.default_rng(seed).normal(size=(members, 40, 3))
  return (noise + 3 * np.eye(3)[_LABELS]).astype(np.float32)


def _probs(**kwargs):
  return special.softmax(_logits(**kwargs), -1)


def _load(*paths, split='train'):
  opened = trained.open_trained([str(path) for path in paths], 'teacher')
  return opened.predictions(split, _LABELS, 3)


def _save(path, **arrays):
  np.savez(path, **arrays)
  return path


@pytest.mark.parametrize('dtype', [np.float16, np.float32, np.float64])
def test_probabilities_and_logits_are_the_same_teacher(dtype, tmp_path, caplog):
  labels = _LABELS.astype(np.int64)
  for name, values in ('logits', _logits()), ('probs', _probs()):
    path = _save(
      tmp_path / f'{name}.npz',
      train_labels=labels,
      **{f'train_{name}': values.astype(dtype)},
    )
    logits = _load(path)
    assert logits.shape == (2, 40, 3) and logits.dtype == np.float32
    np.testing.assert_allclose(
      special.softmax(logits, -1),
      _probs(),
      atol=1e-6 if dtype != np.float16 else 2e-3,
    )
  assert not caplog.messages
  assert _load(path, split='test') is None


def test_members_of_several_files_are_stacked(tmp_path):
  one = _save(
    tmp_path / 'a.npz',
    train_probs=_probs(members=1)[0],
    train_labels=_LABELS,
  )
  two = _save(
    tmp_path / 'b.npz', train_logits=_logits(seed=2), train_labels=_LABELS
  )
  want = np.concatenate([_probs(members=1), _probs(seed=2)])
  got = special.softmax(_load(one, two), -1)
  np.testing.assert_allclose(got, want, atol=1e-6)
  np.testing.assert_allclose(
    special.softmax(_load(two, one), -1), want[[1, 2, 0]], atol=1e-6
  )


def test_certainty_stays_finite(tmp_path):
  probs = np.eye(3)[_LABELS]
  path = _save(tmp_path / 'a.npz', test_probs=probs, test_labels=_LABELS)
  logits = _load(path, split='test')
  assert np.isfinite(logits).all()
  np.testing.assert_allclose(special.softmax(logits, -1)[0], probs, atol=1e-20)


def test_every_view_is_the_same():
  stored = trained.FixedLogits(_logits())
  assert stored.ensemble_size == 2
  read = tf.function(stored.read)
  for view in 0, 7:
    got = read(tf.constant(view, tf.int64), tf.range(40))
    assert got.shape == (40, 2, 3) and got.dtype == tf.float16
    np.testing.assert_allclose(
      np.exp(got.numpy().astype(float)),
      _probs().transpose(1, 0, 2),
      atol=2e-4,
    )


def test_without_labels_it_says_how_far_they_agree(tmp_path, caplog):
  logits = np.eye(3)[_LABELS]
  logits[:10] = 1 - logits[:10]
  path = _save(tmp_path / 'a.npz', train_logits=logits)
  _load(path)
  (line,) = caplog.messages
  assert str(path) in line and 'train_labels' in line and '75.0%' in line


def _with_nan():
  values = _logits()
  values[1, 5, 2] = np.nan
  return values


def _negative():
  values = _probs()
  values[0, 0] = [1.5, -0.5, 0]
  return values


_TURNED = np.roll(_LABELS, 1)


_LOGITS, _PROBS = 'train_logits of {path}', 'train_probs of {path}'
_NAMED = 'train_labels of {path}'


@pytest.mark.parametrize(
  'arrays, name, value',
  [
    ({'train_logits': _logits()[:, :39]}, _LOGITS, 'float32 [2, 39, 3]'),
    ({'train_logits': _logits()[..., :2]}, _LOGITS, 'float32 [2, 40, 2]'),
    (
      {'train_logits': _logits().transpose(1, 0, 2)},
      _LOGITS,
      'float32 [40, 2, 3]',
    ),
    ({'train_logits': _logits()[:0]}, _LOGITS, 'float32 [0, 40, 3]'),
    ({'train_logits': _logits()[0, 0]}, _LOGITS, 'float32 [3]'),
    ({'train_logits': _logits().astype(int)}, _LOGITS, 'int64 [2, 40, 3]'),
    ({'train_logits': _logits().astype(object)}, 'teacher', '{path}'),
    ({'train_logits': _with_nan()}, _LOGITS, '1 non-finite'),
    ({'train_probs': _logits()}, _PROBS, '-'),
    (
      {'train_probs': _negative()},
      _PROBS,
      '-0.5 (member 0, example 0, class 1)',
    ),
    ({'train_probs': _probs() * 1.002}, _PROBS, '1 by up to 0.002'),
    (
      {'train_logits': _logits(), 'train_probs': _probs()},
      'teacher',
      '{path}',
    ),
    ({'logits': _logits()}, 'teacher', '{path}'),
    (
      {'train_logits': _logits(), 'train_labels': _TURNED},
      _NAMED,
      f'{(_TURNED != _LABELS).sum()} ',
    ),
    (
      {'train_logits': _logits(), 'train_labels': _LABELS[:9]},
      _NAMED,
      'int32 [9]',
    ),
    (
      {'train_logits': _logits(), 'train_labels': _LABELS / 1},
      _NAMED,
      'float64 [40]',
    ),
  ],
)
def test_refuses_other_predictions(arrays, name, value, tmp_path):
  path = _save(tmp_path / 'a.npz', **arrays)
  with refusals.refused(name.format(path=path)) as caught:
    _load(path)
  assert value.format(path=path) in caught.value.value
  # The message says where the non-finite logit is.
  assert ('member 1 and example 5' in str(caught.value)) == ('non-fi' in value)


def test_refuses_other_files(tmp_path):
  (tmp_path / 'text.npz').write_text('not an archive')
  np.save(tmp_path / 'array.npy', _logits())
  (tmp_path / 'array.npy').rename(tmp_path / 'array.npz')
  for name in 'text.npz', 'array.npz', 'gone.npz':
    with refusals.refused('teacher', str(tmp_path / name), '.npz'):
      _load(tmp_path / name)
