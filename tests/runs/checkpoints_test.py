"""Tests that damaged checkpoints are found; real files are damaged."""

import os
import pathlib
import random
import shutil

from uncertainty_distill.runs import checkpoints

import numpy as np
import pytest
import tensorflow as tf


def _tensors(prefix):
  """Returns everything in a checkpoint, by name."""
  reader = tf.train.load_checkpoint(prefix)
  return {
    name: np.asarray(reader.get_tensor(name))
    for name in reader.get_variable_to_shape_map()
  }


@pytest.fixture(name='saved', scope='module')
def _saved(tmp_path_factory):
  """A folder with checkpoints of the steps 4, 8 and 12."""
  folder = tmp_path_factory.mktemp('saved')
  weights = tf.Variable(tf.random.stateless_normal([40, 3], [0, 0]))
  checkpoint = tf.train.Checkpoint(weights=weights, step=tf.Variable(0))
  manager = tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=3)
  for step in 4, 8, 12:
    weights.assign_add(tf.ones_like(weights))
    manager.save(checkpoint_number=step)
  return folder


@pytest.fixture(name='folder')
def _folder(saved, tmp_path):
  """A copy of the folder for one test."""
  return shutil.copytree(saved, tmp_path / 'folder')


def _file(folder, step, kind):
  start = f'ckpt-{step}.{kind}'
  (name,) = [name for name in os.listdir(folder) if name.startswith(start)]
  return os.path.join(folder, name)


def _truncate(path):
  os.truncate(path, os.path.getsize(path) // 2)


def _empty(path):
  os.truncate(path, 0)


def test_the_newest_is_found_whatever_tensorflow_lists(folder):
  for content in None, b'', b'\xff\x00', b'model_checkpoint_path: "ckpt-4"\n':
    if content is not None:
      (folder / 'checkpoint').write_bytes(content)
    assert checkpoints.newest_step(str(folder)) == 12
    checkpoints.repair_state_file(str(folder))
    assert tf.train.latest_checkpoint(str(folder)) == str(folder / 'ckpt-12')
  (folder / 'checkpoint').unlink()
  assert checkpoints.newest_step(str(folder)) == 12


def test_a_folder_without_checkpoints(tmp_path):
  for folder in tmp_path / 'gone', tmp_path:
    assert checkpoints.newest_step(str(folder)) == 0
    assert not checkpoints.steps(str(folder))
    checkpoints.repair_state_file(str(folder))
  assert not os.listdir(tmp_path)


def test_looking_for_the_newest_reads_no_checkpoint(folder, monkeypatch):
  # Nothing could read these checkpoints.
  for name in os.listdir(folder):
    if name != 'checkpoint':
      _empty(folder / name)
  monkeypatch.setattr(tf.compat.v1.train, 'NewCheckpointReader', None)
  assert checkpoints.newest_step(str(folder)) == 12


@pytest.mark.parametrize('kind', ['index', 'data'])
@pytest.mark.parametrize('damage', [_truncate, _empty, os.remove])
def test_a_damaged_file_is_named_and_the_one_before_is_taken(
  kind, damage, folder, caplog
):
  path = _file(folder, 12, kind)
  assert not checkpoints.find_damage(str(folder), 12)
  damage(path)
  for thorough in True, False:
    found = checkpoints.find_damage(str(folder), 12, thorough)
    assert (found.step, found.file) == (12, os.path.basename(path))
  assert checkpoints.newest_step(str(folder)) == 12
  checkpoints.repair_state_file(str(folder))
  (line,) = caplog.messages
  assert str(folder) in line and found.file in line
  # The line has the step to continue from and the number of lost steps.
  assert 'step 8' in line and '4 steps' in line
  assert tf.train.latest_checkpoint(str(folder)) == str(folder / 'ckpt-8')
  assert checkpoints.newest_step(str(folder)) == 8
  checkpoints.repair_state_file(str(folder))
  assert len(caplog.messages) == 1


def test_none_that_is_whole(folder, caplog):
  for step in 4, 8, 12:
    _empty(_file(folder, step, 'index'))
  checkpoints.repair_state_file(str(folder))
  (line,) = caplog.messages
  assert 'step 0' in line and '12 steps' in line
  assert checkpoints.newest_step(str(folder)) == 0
  assert not (folder / 'checkpoint').exists()


@pytest.mark.parametrize('kind', ['index', 'data'])
def test_a_changed_bit_is_found_or_changes_nothing(kind, folder):
  path = _file(folder, 12, kind)
  with open(path, 'rb') as file:
    content = file.read()
  whole = _tensors(str(folder / 'ckpt-12'))
  generator, found = random.Random(0), 0
  for _ in range(60):
    place = generator.randrange(8 * len(content))
    damaged = bytearray(content)
    damaged[place // 8] ^= 1 << place % 8
    with open(path, 'wb') as file:
      file.write(damaged)
    if checkpoints.find_damage(str(folder), 12):
      found += 1
    else:
      tensors = _tensors(str(folder / 'ckpt-12'))
      assert tensors.keys() == whole.keys()
      for name, value in whole.items():
        np.testing.assert_array_equal(tensors[name], value)
  # Only changes in the gaps at the end of an index are not found.
  assert found > (40 if kind == 'index' else 59)


def test_a_manager_goes_on_from_what_is_whole(folder):
  _truncate(_file(folder, 12, 'data'))
  checkpoints.repair_state_file(str(folder))
  weights = tf.Variable(tf.zeros([40, 3]))
  manager = tf.train.CheckpointManager(
    tf.train.Checkpoint(weights=weights), str(folder), max_to_keep=2
  )
  manager.restore_or_initialize()
  np.testing.assert_array_equal(
    weights,
    _tensors(str(folder / 'ckpt-8'))['weights/.ATTRIBUTES/VARIABLE_VALUE'],
  )
  manager.save(checkpoint_number=12)
  # The damaged checkpoint is replaced, and the oldest one is removed.
  assert checkpoints.steps(str(folder)) == [8, 12]
  assert not checkpoints.find_damage(str(folder), 12)


def test_a_whole_folder_is_left_as_it_is(folder, caplog):
  before = (folder / 'checkpoint').stat().st_mtime_ns
  checkpoints.repair_state_file(str(folder))
  assert (folder / 'checkpoint').stat().st_mtime_ns == before
  assert not caplog.messages


def test_only_checkpoints_of_the_folder_are_listed(folder, tmp_path):
  """TensorFlow removes files of what is listed when it makes room."""
  state = pathlib.Path(folder, 'checkpoint')
  foreign = tmp_path / 'served' / 'ckpt-1'
  for other in foreign, tmp_path / 'served' / 'variables':
    text = state.read_text()
    line = next(x for x in text.split('\n') if x.startswith('all_model_check'))
    state.write_text(f'all_model_checkpoint_paths: "{other}"\n{text}\n{line}')
    checkpoints.repair_state_file(folder)
    assert str(tmp_path / 'served') not in state.read_text()


def test_a_checkpoint_that_is_discarded_is_not_damaged(folder, caplog):
  checkpoints.discard(str(folder), 12)
  assert not caplog.messages
  assert checkpoints.newest_step(str(folder)) == 8
  assert tf.train.latest_checkpoint(str(folder)) == str(folder / 'ckpt-8')


def test_what_was_not_finished_is_no_checkpoint(folder):
  # As after a kill between writing the data and the index, before the list.
  shutil.copy(_file(folder, 12, 'data'), folder / 'ckpt-16.data-00000-of-00001')
  assert checkpoints.newest_step(str(folder)) == 12


def test_an_index_of_many_blocks_that_ends_early(tmp_path):
  # TensorFlow reads the blocks before a damaged one, and raises no error.
  folder = str(tmp_path)
  values = [tf.Variable(0.0) for _ in range(6000)]
  manager = tf.train.CheckpointManager(
    tf.train.Checkpoint(values=values), folder, max_to_keep=1
  )
  manager.save(checkpoint_number=3)
  path = _file(folder, 3, 'index')
  with open(path, 'rb') as file:
    content = file.read()
  assert len(content) > 2**18
  for place in len(content) // 2, len(content) * 19 // 20:
    damaged = bytearray(content)
    damaged[place] ^= 1
    with open(path, 'wb') as file:
      file.write(damaged)
    damage = checkpoints.find_damage(folder, 3)
    assert (damage.step, damage.file) == (3, 'ckpt-3.index')
