"""Tests of reading corrupted test sets from folders, and of bad folders."""

import os

from uncertainty_distill.data import corrupted_sets, corruptions

import numpy as np
import pytest
import refusals
import tiny_dataset

Corruption = corruptions.Corruption
CONTRAST = (Corruption.CONTRAST,)


def write_files(directory, dataset, kinds=CONTRAST):
  """Writes a folder in the published layout, without this package's code."""
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
  opened = corrupted_sets.open_corrupted_set(dataset, shifts, directory)
  for shift in shifts:
    rows = np.array([15, 29, 3])
    images = opened.images(shift, rows)
    added = shift.severity - 1 + 10 * kinds.index(shift.corruption)
    np.testing.assert_array_equal(images, dataset.images[rows] // 8 + added)
    assert type(images) is np.ndarray  # In memory, not memory-mapped.
  clean = opened.images(corruptions.CLEAN, np.arange(5))
  np.testing.assert_array_equal(clean, dataset.images[:5])
  assert opened.description == (
    f'files in {directory}, not made by this package'
  )


def damage(directory, how):
  """Damages a folder; returns the file, the value and what is expected."""
  images = directory / 'contrast.npy'
  labels = directory / 'labels.npy'
  of_images, of_labels = 'uint8 [150, 16, 16, 3]', 'integers [150]'
  if how == 'missing':
    images.unlink()
    return images, 'No such file', of_images
  if how == 'truncated':
    os.truncate(images, 5000)
    return images, '5000 bytes', of_images
  if how == 'empty':
    images.write_bytes(b'')
    return images, '0 bytes', of_images
  if how == 'text':
    images.write_text('<html>not found</html>' * 9)
    return images, '198 bytes', of_images
  if how == 'shape':
    np.save(images, np.load(images)[:30])
    return images, 'uint8 [30, 16, 16, 3]', of_images
  if how == 'dtype':
    np.save(images, np.load(images) / 255)
    return images, 'float64 [150, 16, 16, 3]', of_images
  if how == 'objects':
    np.save(images, np.array([{}]), allow_pickle=True)
    return images, 'bytes', of_images
  if how == 'archive':
    np.savez(directory / 'a.npz', a=np.zeros(3))
    (directory / 'a.npz').rename(images)
    return images, '.npz', of_images
  if how == 'a folder for a file':
    images.unlink()
    images.mkdir()
    return images, 'Is a directory', of_images
  if how == 'no labels':
    labels.unlink()
    return labels, 'No such file', of_labels
  if how == 'fewer labels':
    np.save(labels, np.load(labels)[:30])
    return labels, 'uint8 [30]', of_labels
  if how == 'float labels':
    np.save(labels, np.load(labels) / 1)
    return labels, 'float64 [150]', of_labels
  if how == 'another order':
    np.save(labels, np.load(labels)[::-1])
    return labels, 'label 2 in row 0', '0, the label of test example 0'
  if how == 'another order at a severity':
    values = np.load(labels)
    values[[95, 96]] = values[[96, 95]]
    np.save(labels, values)
    return labels, 'label 0 in row 95', '2, the label of test example 5'
  assert how == 'made.json'
  (directory / 'made.json').write_text('{"seed":')
  return directory / 'made.json', 'JSONDecodeError', 'make_corrupted.py'


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
  path, value, expected = damage(tmp_path, how)
  shifts = corruptions.shifts(CONTRAST)
  with refusals.refused(str(path), expected=expected) as caught:
    corrupted_sets.open_corrupted_set(dataset, shifts, str(tmp_path))
  assert value in caught.value.value


def test_a_folder_of_more_examples_is_refused(tmp_path):
  write_files(tmp_path, tiny_dataset.make(number=31))
  with refusals.refused(str(tmp_path / 'labels.npy'), 'uint8 [155]'):
    corrupted_sets.open_corrupted_set(tiny_dataset.make(), [], str(tmp_path))


def test_no_folder_at_all_is_refused(tmp_path):
  path = str(tmp_path / 'x')
  with refusals.refused('corrupted images', path):
    corrupted_sets.open_corrupted_set(tiny_dataset.make(), [], path)


def test_images_that_are_not_corrupted_may_have_any_size():
  small = tiny_dataset.make(size=8)
  opened = corrupted_sets.open_corrupted_set(small, [corruptions.CLEAN])
  images = opened.images(corruptions.CLEAN, np.arange(30))
  np.testing.assert_array_equal(images, small.images)
  with refusals.refused('images', expected='from 12 to 512'):
    corrupted_sets.open_corrupted_set(small, corruptions.shifts(CONTRAST))
