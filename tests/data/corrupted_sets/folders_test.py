"""Corrupted test sets read from folders, and the bad folders refused."""

import os

from uncertainty_distill import errors
from uncertainty_distill.data import corrupted_sets, corruptions

import numpy as np
import pytest
import tiny_dataset

Corruption = corruptions.Corruption
CONTRAST = (Corruption.CONTRAST,)


def write_files(directory, dataset, kinds=CONTRAST):
  """Writes a folder in the published layout, without this package's help."""
  os.makedirs(directory, exist_ok=True)
  np.save(
    os.path.join(directory, 'labels.npy'),
    np.tile(dataset.labels, 5).astype(np.uint8),
  )
  for number, kind in enumerate(kinds):
    levels = np.arange(5, dtype=np.uint8).repeat(len(dataset.labels))
    images = np.tile(dataset.images // 8, (5, 1, 1, 1)) + 10 * number
    images += levels[:, np.newaxis, np.newaxis, np.newaxis]
    np.save(os.path.join(directory, f'{kind.value}.npy'), images)


def test_official_files_are_read_row_by_row(tmp_path):
  dataset = tiny_dataset.make()
  kinds = (Corruption.FOG, Corruption.CONTRAST)
  write_files(tmp_path, dataset, kinds)
  directory = str(tmp_path)
  shifts = corruptions.shifts(kinds, [2, 5])
  # As the evaluation of the first few examples only.
  few = dataset.take(20)
  opened = corrupted_sets.open_corrupted_set(few, shifts, directory)
  for shift in shifts:
    images = opened.images(shift, 15, 30)
    added = shift.severity - 1 + 10 * kinds.index(shift.corruption)
    np.testing.assert_array_equal(images, dataset.images[15:20] // 8 + added)
    assert type(images) is np.ndarray  # In memory, not mapped.
  clean = opened.images(corruptions.CLEAN, 0, 5)
  np.testing.assert_array_equal(clean, dataset.images[:5])
  assert opened.description == (
    f'files in {directory}, not made by this package'
  )


def damage(directory, how):
  """Damages a folder; returns what the error says about it."""
  images = directory / 'contrast.npy'
  labels = directory / 'labels.npy'
  if how == 'missing':
    images.unlink()
    return "contrast.npy: got 'no such file', wants uint8"
  if how == 'truncated':
    os.truncate(images, 5000)
    return r'contrast.npy: got .5000 bytes, truncated.*\[150, 16, 16, 3\]'
  if how == 'empty':
    images.write_bytes(b'')
    return 'contrast.npy: got .0 bytes, truncated'
  if how == 'text':
    images.write_text('<html>not found</html>' * 9)
    return 'contrast.npy: got .198 bytes, truncated or not a .npy file'
  if how == 'shape':
    np.save(images, np.load(images)[:30])
    return r'contrast.npy: got .uint8 \[30, 16, 16, 3\]'
  if how == 'dtype':
    np.save(images, np.load(images) / 255)
    return r'contrast.npy: got .float64 \[150'
  if how == 'objects':
    np.save(images, np.array([{}]), allow_pickle=True)
    return 'contrast.npy: got .*truncated or not'
  if how == 'archive':
    np.savez(directory / 'a.npz', a=np.zeros(3))
    (directory / 'a.npz').rename(images)
    return 'contrast.npy: got .an .npz archive'
  if how == 'a folder for a file':
    images.unlink()
    images.mkdir()
    return 'contrast.npy: got .Is a directory'
  if how == 'no labels':
    labels.unlink()
    return "labels.npy: got 'no such file', wants integers"
  if how == 'fewer labels':
    np.save(labels, np.load(labels)[:30])
    return r'labels.npy: got .uint8 \[30\]., wants integers \[150\]'
  if how == 'float labels':
    np.save(labels, np.load(labels) / 1)
    return 'labels.npy: got .float64'
  if how == 'another order':
    np.save(labels, np.load(labels)[::-1])
    return 'labels.npy: got .label 2 in row 0.*wants 0, as example 0 of the te'
  if how == 'another order at a severity':
    values = np.load(labels)
    values[[95, 96]] = values[[96, 95]]
    np.save(labels, values)
    return 'label 0 in row 95.*wants 2, as example 5 .*2 of 150 labels differ'
  assert how == 'made.json'
  (directory / 'made.json').write_text('{"seed":')
  return 'made.json: got .JSONDecodeError'


@pytest.mark.parametrize(
  'how',
  [
    'missing',
    'truncated',
    'empty',
    'text',
    'shape',
    'dtype',
    'objects',
    'archive',
    'a folder for a file',
    'no labels',
    'fewer labels',
    'float labels',
    'another order',
    'another order at a severity',
    'made.json',
  ],
)
def test_a_bad_folder_is_refused(tmp_path, how):
  dataset = tiny_dataset.make()
  write_files(tmp_path, dataset)
  message = damage(tmp_path, how)
  shifts = corruptions.shifts(CONTRAST)
  with pytest.raises(errors.InputError, match=message):
    corrupted_sets.open_corrupted_set(dataset, shifts, str(tmp_path))


def test_no_folder_at_all_is_refused(tmp_path):
  with pytest.raises(errors.InputError, match='make_corrupted.py makes one'):
    corrupted_sets.open_corrupted_set(
      tiny_dataset.make(), [], str(tmp_path / 'x')
    )
  with pytest.raises(errors.InputError, match='from 12 to 512'):
    corrupted_sets.open_corrupted_set(tiny_dataset.make(size=8), [])
