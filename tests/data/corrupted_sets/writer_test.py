"""Tests of writing corrupted test sets: made, resumed and refused."""

import errno
import json
import os
import resource
import subprocess
import sys

from uncertainty_distill import data
from uncertainty_distill.data import corrupted_sets, corruptions

import numpy as np
import pytest
import refusals
import tiny_dataset

Corruption = corruptions.Corruption
CONTRAST = (Corruption.CONTRAST,)


@pytest.fixture(scope='module')
def made(tmp_path_factory):
  """Returns a test set, the folder of its corruptions, and the three kinds."""
  dataset = tiny_dataset.make(number=1001)  # Not a whole number of tasks.
  directory = str(tmp_path_factory.mktemp('made'))
  kinds = (
    Corruption.FROST,
    Corruption.SPECKLE_NOISE,
    Corruption.ELASTIC_TRANSFORM,
  )
  corrupted_sets.write_corrupted_set(
    dataset, directory, kinds, 7, processes=2, frost='photographs'
  )
  return dataset, directory, kinds


def test_files_hold_what_is_made_on_the_fly(made):
  dataset, directory, kinds = made
  shifts = [corruptions.CLEAN, *corruptions.shifts(kinds)]
  from_files = corrupted_sets.open_corrupted_set(dataset, shifts, directory)
  by_formula = corrupted_sets.FormulaSet(dataset, 7, 'photographs')
  for shift in shifts:
    for rows in np.arange(3), np.arange(990, 1001):
      images = from_files.images(shift, rows)
      assert images.dtype == np.uint8 and len(images) == len(rows)
      np.testing.assert_array_equal(images, by_formula.images(shift, rows))
  assert (
    by_formula.description
    == 'made on the fly by formula, seed 7, frost from photographs'
  )
  assert from_files.description == (
    f'files in {directory}, made by formula from tiny, seed 7, '
    'frost from photographs'
  )


def test_a_folder_that_names_no_frost_has_the_texture(tmp_path):
  dataset = tiny_dataset.make(number=5)
  corrupted_sets.write_corrupted_set(dataset, str(tmp_path), CONTRAST)
  path = tmp_path / 'made.json'
  made = json.loads(path.read_text())
  assert made.pop('frost') == 'texture'
  path.write_text(json.dumps(made))
  corrupted_sets.write_corrupted_set(dataset, str(tmp_path), CONTRAST)
  opened = corrupted_sets.open_corrupted_set(dataset, [], str(tmp_path))
  assert opened.description.endswith('from tiny, seed 0')


def test_layout_is_the_published_one(made):
  dataset, directory, kinds = made
  assert sorted(os.listdir(directory)) == sorted(
    [*(f'{kind.value}.npy' for kind in kinds), 'labels.npy', 'made.json']
  )
  images = np.load(os.path.join(directory, 'elastic_transform.npy'))
  assert images.dtype == np.uint8 and images.shape == (5005, 16, 16, 3)
  labels = np.load(os.path.join(directory, 'labels.npy'))
  assert labels.dtype == np.uint8
  np.testing.assert_array_equal(labels, np.tile(dataset.labels, 5))


def test_whole_files_are_kept_and_others_made_again(made):
  dataset, directory, kinds = made
  kept, broken = (os.path.join(directory, f'{k.value}.npy') for k in kinds[1:])
  before = os.stat(kept).st_mtime_ns
  with open(broken, 'rb') as file:
    content = file.read()
  os.truncate(broken, 10_000)
  # Killed processes leave files like this.
  open(os.path.join(directory, '.fog.partial'), 'wb').close()
  corrupted_sets.write_corrupted_set(
    dataset, directory, kinds, 7, processes=2, frost='photographs'
  )
  assert not any(name.endswith('.partial') for name in os.listdir(directory))
  assert os.stat(kept).st_mtime_ns == before
  with open(broken, 'rb') as file:
    assert file.read() == content


@pytest.mark.parametrize('wrong', ['seed', 'frost', 'labels'])
def test_a_folder_of_another_set_is_refused(made, wrong):
  dataset, directory, kinds = made
  seed = 8 if wrong == 'seed' else 7
  frost = 'texture' if wrong == 'frost' else 'photographs'
  if wrong == 'labels':
    dataset = tiny_dataset.make(number=1001, labels=np.full(1001, 9))
  with refusals.refused('output folder', directory):
    corrupted_sets.write_corrupted_set(
      dataset, directory, kinds, seed, frost=frost
    )


def test_the_same_images_may_have_another_name(made):
  _, directory, kinds = made
  dataset = tiny_dataset.make('other', 1001)
  corrupted_sets.write_corrupted_set(
    dataset, directory, kinds, 7, frost='photographs'
  )


def test_a_folder_with_files_from_elsewhere_is_refused(tmp_path):
  np.save(tmp_path / 'fog.npy', np.zeros(3))
  with refusals.refused('output folder', str(tmp_path)):
    corrupted_sets.write_corrupted_set(
      tiny_dataset.make(), str(tmp_path), CONTRAST
    )
  assert os.listdir(tmp_path) == ['fog.npy']


def test_a_full_disk_leaves_nothing_half_written(tmp_path):
  dataset = tiny_dataset.make(number=200)
  directory = str(tmp_path / 'new' / 'folder')
  limits = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, limits[1]))
  try:
    with pytest.raises(OSError) as caught:
      corrupted_sets.write_corrupted_set(
        dataset, directory, CONTRAST, processes=1
      )
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename.startswith(directory)
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
  assert sorted(os.listdir(directory)) == ['labels.npy', 'made.json']
  corrupted_sets.write_corrupted_set(dataset, directory, CONTRAST, processes=1)
  assert 'contrast.npy' in os.listdir(directory)


def test_what_cannot_be_made_is_refused_at_once(tmp_path):
  file = tmp_path / 'file'
  file.write_text('')
  with refusals.refused('output folder'):
    corrupted_sets.write_corrupted_set(
      tiny_dataset.make(), str(file / 'folder'), CONTRAST
    )
  with refusals.refused('images', expected='from 12 to 512'):
    corrupted_sets.write_corrupted_set(
      tiny_dataset.make(size=8), str(tmp_path / 'x'), CONTRAST
    )
  with refusals.refused('seed', -1):
    corrupted_sets.write_corrupted_set(
      tiny_dataset.make(), str(tmp_path / 'x'), CONTRAST, seed=-1
    )
  with refusals.refused('frost', 'hail'):
    corrupted_sets.write_corrupted_set(
      tiny_dataset.make(), str(tmp_path / 'x'), CONTRAST, frost='hail'
    )
  with refusals.refused('processes', -1):
    corrupted_sets.write_corrupted_set(
      tiny_dataset.make(), str(tmp_path / 'x'), CONTRAST, processes=-1
    )
  assert os.listdir(tmp_path) == ['file']


def test_processes_do_without_tensorflow():
  code = (
    'import sys; from uncertainty_distill.data import corrupted_sets; '
    'sys.exit("tensorflow" in sys.modules)'
  )
  subprocess.run([sys.executable, '-c', code], check=True)


def test_a_made_folder_says_with_what(made):
  with open(os.path.join(made[1], 'made.json'), encoding='utf-8') as file:
    content = json.load(file)
  assert content['num_examples'] == 1001 and content['seed'] == 7
  assert set(content['versions']) == {'numpy', 'opencv', 'pillow'}


def test_other_images_of_the_same_name_are_refused(tmp_path, caplog):
  dataset = tiny_dataset.make(number=5)
  corrupted_sets.write_corrupted_set(dataset, str(tmp_path), CONTRAST)
  other = data.ArraySource(dataset.spec, dataset.images[::-1], dataset.labels)
  with refusals.refused('output folder', str(tmp_path)):
    corrupted_sets.write_corrupted_set(other, str(tmp_path), CONTRAST)
  # A folder of an older version gets the fingerprint of the present images.
  path = tmp_path / 'made.json'
  made = json.loads(path.read_text())
  del made['fingerprint']
  path.write_text(json.dumps(made))
  corrupted_sets.write_corrupted_set(dataset, str(tmp_path), CONTRAST)
  assert json.loads(path.read_text())['fingerprint'] == dataset.fingerprint
  assert len(caplog.messages) == 1
