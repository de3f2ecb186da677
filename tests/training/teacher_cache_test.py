"""Tests of how logits are stored, and of students that learn from them."""

import copy
import os
import pathlib

from uncertainty_distill import data, runs, trained, training
from uncertainty_distill.training import stored_logits

import experiments
import numpy as np
import pytest
import refusals
import tensorflow as tf

# float16 changes a probability by less than 2e-4, so a divergence of about 1 by
# less than 1e-3. Different weights after earlier steps add to this difference.
_TOLERANCE = 2e-3


def _changed(config, text):
  """Returns the experiment with overrides, resolved anew."""
  config = copy.deepcopy(config)
  for item in filter(None, text.split(',')):
    path, value = item.split('=')
    *parents, name = path.split('.')
    holder = config
    for parent in parents:
      holder = getattr(holder, parent)
    setattr(holder, name, type(getattr(holder, name))(value))
  return training.resolve(config)


@pytest.fixture(name='cached', scope='module')
def _cached(student, tmp_path_factory):
  """The student's experiment with a cache that is not made yet."""
  path = tmp_path_factory.mktemp('caches') / 'cache'
  return _changed(student, f'task.objective.teacher_cache={path}')


@pytest.fixture(name='trained_run', scope='module')
def _trained(cached, one_device, tmp_path_factory):
  """A run of the experiment `cached`, which has made the cache."""
  path = str(tmp_path_factory.mktemp('run'))
  return experiments.train_run(cached, path, one_device, evaluate=False)


def _files(config):
  """Returns the view files of a cache and when they were written."""
  root = config.task.objective.teacher_cache
  return {
    str(path): path.stat().st_mtime_ns
    for path in pathlib.Path(root).rglob('*.npy')
  }


def _no_teacher(monkeypatch):
  """Makes loading a teacher fail."""
  monkeypatch.setattr(trained.TrainedModel, 'ensemble', None)


def _open(config, strategy):
  return stored_logits.open_stored_logits(experiments.opened(config, strategy))


def test_every_epoch_has_its_view(cached, trained_run):
  # An epoch has four steps, so seven steps take two epochs.
  train_data = cached.task.train_data
  assert (train_data.views, train_data.augmentation_seed) == (2, 0)
  names = sorted(os.path.basename(path) for path in _files(cached))
  assert names == ['view_0000.npy', 'view_0001.npy']
  assert trained_run.is_complete


def test_what_is_stored_is_what_the_teacher_says(
  cached, trained_run, one_device
):
  del trained_run
  cache = _open(cached, one_device)
  teacher = experiments.opened(cached).teacher.ensemble()
  images = data.open_dataset('digits').train.images[:128]
  for view in 0, 1:
    table = data.augmentation_table(128, 0, view, 1, False)
    train_data = cached.task.train_data
    assert (train_data.crop_padding, train_data.horizontal_flip) == (1, False)
    wanted = tf.nn.log_softmax(teacher(data.augment(images, table, 1)))
    stored = tf.cast(cache.read(view, range(128)), tf.float32)
    np.testing.assert_allclose(
      np.swapaxes(stored, 0, 1), wanted, rtol=2**-11, atol=1e-5
    )


def test_losses_are_those_of_the_online_teacher(
  student, cached, trained_run, one_device, read_scalars, tmp_path
):
  config = _changed(
    student, 'task.train_data.views=2,task.train_data.augmentation_seed=0'
  )
  run = experiments.train_run(config, str(tmp_path), one_device, evaluate=False)
  stored, online = (read_scalars(r, 'train') for r in (trained_run, run))
  for tag in 'training_loss', 'cross_entropy', 'distillation', 'l2', 'nll':
    for step in range(1, 8):
      assert stored[tag][step] == pytest.approx(
        online[tag][step], rel=_TOLERANCE
      ), (tag, step)
  # Losses that hardly change would prove nothing.
  assert abs(online['distillation'][7] / online['distillation'][1] - 1) > 0.1
  # The first weights are the same, and so is the first cross-entropy.
  assert stored['cross_entropy'][1] == online['cross_entropy'][1]
  # Only the source of the logits differs, which makes no other experiment.
  assert runs.match_run(run.path, cached).is_complete


def test_fewer_views_than_epochs_are_enough(cached, one_device, tmp_path):
  one_view = _changed(
    cached,
    f'task.train_data.views=1,task.objective.teacher_cache={tmp_path}',
  )
  _open(one_view, one_device)
  (path,) = _files(one_view)
  assert path.endswith('view_0000.npy')


def test_views_are_shared_and_extended(
  cached, trained_run, one_device, monkeypatch
):
  del trained_run
  before = _files(cached)
  fewer = _changed(cached, 'trainer.train_steps=2')
  with monkeypatch.context() as patched:
    _no_teacher(patched)
    for text in (
      'task.seed=5',
      'task.objective.weight=0.5',
      'task.model.width=2',
      'task.validation_data.global_batch_size=25',
      'task.train_data.global_batch_size=64',
    ):
      assert _open(_changed(fewer, text), one_device)
    assert _files(cached) == before
  more = _changed(cached, 'trainer.train_steps=12,task.train_data.views=3')
  _open(more, one_device)
  after = _files(cached)
  assert len(after) == 3 and after.items() > before.items()


@pytest.mark.parametrize(
  'lose', [os.remove, lambda path: os.truncate(path, 99)]
)
def test_a_lost_view_alone_is_made_again(lose, cached, trained_run, one_device):
  del trained_run
  before = _files(cached)
  lost = min(before)
  with open(lost, 'rb') as file:
    content = file.read()
  lose(lost)
  _open(cached, one_device)
  after = _files(cached)
  assert {path for path in after if after[path] != before[path]} == {lost}
  with open(lost, 'rb') as file:
    assert file.read() == content


@pytest.mark.parametrize(
  'text',
  [
    'task.train_data.augmentation_seed=1',
    'task.train_data.crop_padding=2',
    'task.train_data.horizontal_flip=1',
    'task.train_data.num_examples=127',
    'task.train_data.held_out_fraction=0.1',
  ],
)
def test_other_views_are_other_caches(
  text, cached, trained_run, one_device, tmp_path
):
  del trained_run
  first = _open(cached, one_device)
  other = _open(
    _changed(
      cached,
      f'{text},trainer.train_steps=1,task.objective.teacher_cache={tmp_path}',
    ),
    one_device,
  )
  assert os.path.basename(other.path) != os.path.basename(first.path)
  # 13 of the 128 examples are held out.
  sizes = {'num_examples=127': 127, 'held_out_fraction=0.1': 115}
  size = sizes.get(text.removeprefix('task.train_data.'), 128)
  assert other.shape == (size, 1, 10)


def test_replicas_make_their_own_rows(cached, trained_run, tmp_path, replicas):
  del trained_run
  assert replicas.num_replicas_in_sync == 2
  apart = _changed(cached, f'task.objective.teacher_cache={tmp_path / "cache"}')
  _open(apart, replicas)
  assert len(_files(apart)) == 2
  for view, expected in zip(sorted(_files(apart)), sorted(_files(cached))):
    np.testing.assert_allclose(
      np.load(view).astype(float),
      np.load(expected).astype(float),
      rtol=2**-10,
      atol=1e-5,
    )


def test_one_and_one_point_zero_are_one_cache(
  cached, trained_run, one_device, tmp_path
):
  del trained_run
  folders = []
  for text in '1', '1.0':
    views = experiments.changed(
      cached,
      f'task.train_data.views=1,task.objective.teacher_cache={tmp_path},'
      f'task.objective.mixup={text},task.objective.weight=1,'
      f'task.train_data.color_jitter=0.5,'
      f'task.train_data.random_crop_area={text}',
    )
    assert isinstance(views.task.objective.mixup, int) == (text == '1')
    _open(views, one_device)
    folders.append(sorted(p.name for p in tmp_path.iterdir() if p.is_dir()))
  assert folders[0] == folders[1] and len(folders[0]) == 1


def test_members_are_counted_before_anything_is_made(
  cached, trained_run, one_device, tmp_path
):
  del trained_run
  # The teacher has one member, the student four.
  for path in tmp_path / 'new', cached.task.objective.teacher_cache:
    head = _changed(
      cached,
      f'task.objective.kind=head,task.objective.teacher_cache={path}',
    )
    with refusals.refused('task.objective.kind', 'head'):
      experiments.train_run(head, str(tmp_path / 'run'), one_device)
    assert not (tmp_path / 'run').exists()
  assert not list((tmp_path / 'new').rglob('*.npy'))


def test_without_a_strategy_it_is_made_on_one_device(
  cached, trained_run, one_device, tmp_path
):
  del trained_run
  apart = _changed(
    cached,
    f'task.objective.teacher_cache={tmp_path},trainer.train_steps=1',
  )
  alone = _open(apart, tf.distribute.get_strategy())
  cache = _open(cached, one_device)
  assert len(_files(apart)) == 1
  rows = range(128)
  np.testing.assert_array_equal(alone.read(0, rows), cache.read(0, rows))
