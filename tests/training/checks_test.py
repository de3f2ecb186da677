"""Tests that mistakes are found before anything is trained or written."""

import os

from uncertainty_distill import configs, exporting, runs, training
from uncertainty_distill.training import session

import experiments
import numpy as np
import pytest
import refusals
import tensorflow as tf

_CPU = tf.distribute.OneDeviceStrategy('CPU:0')


@pytest.fixture(autouse=True)
def no_training(monkeypatch):
  """Makes training raise another error than a user's mistake does."""

  def refuse(*args, **kwargs):
    del args, kwargs
    raise AssertionError('it began to train')

  monkeypatch.setattr(session, 'Trainer', refuse)


def _config(text=''):
  return configs.load_config('digits_wrn10_1', params_override=text)


def _run(path, text='', step=None):
  """Writes a single network's run folder; by default, the run is complete."""
  member = configs.member_config(_config(f'trainer.train_steps=5,{text}'))
  run = runs.claim_run(str(path), training.resolve(member))
  model = run.config.task.model.build()
  tf.train.CheckpointManager(
    tf.train.Checkpoint(model=model), run.path, max_to_keep=1
  ).save(checkpoint_number=5 if step is None else step)
  return run.path


def _npz(path, size, num_classes):
  """Writes a dataset of random images."""
  generator = np.random.default_rng(0)
  arrays = {}
  for split in 'train', 'test':
    images = generator.integers(256, size=[64, size, size, 3])
    arrays[f'{split}_images'] = images.astype(np.uint8)
    arrays[f'{split}_labels'] = np.arange(64) % num_classes
  np.savez(path, **arrays)
  return f'task.train_data.name={path}'


@pytest.mark.parametrize(
  'name, value',
  [
    ('evaluation.corruptions', '[contrasts]'),
    ('task.train_data.global_batch_size', 33),
    ('task.validation_data.global_batch_size', 33),
    ('task.train_data.name', 'gone.npz'),
    ('task.train_data.name', 'mnist'),
    ('task.objective.teacher_cache', 'gs://bucket/cache'),
    ('task.train_data.num_examples', 798),
    ('task.validation_data.num_examples', 1001),
    ('task.model.width', 0),
  ],
)
def test_what_check_finds(name, value, replicas):
  experiments.opened(_config(), replicas).check()
  with refusals.refused(_NAMES.get(name, name), _VALUES.get(value, value)):
    experiments.opened(_config(f'{name}={value}'), replicas).check()


# The names and values in the errors, where they differ from the override.
_NAMES = {
  'evaluation.corruptions': 'corruption',
  'task.train_data.name': 'dataset name',
  'task.train_data.num_examples': 'num_examples',
  'task.validation_data.num_examples': 'num_examples',
}
_VALUES = {'[contrasts]': 'contrasts'}
_TIE = 'task.objective.weight_tie=0.1'


@pytest.mark.parametrize(
  'text, name, value',
  [
    # The teacher's members are checked before the first member is trained.
    (
      'teacher.global_batch_size=798',
      'task.train_data.global_batch_size',
      798,
    ),
    ('teacher.depth=11', 'teacher.depth', 11),
    (
      'task.objective.kind=head,teacher.ensemble_size=3',
      'task.objective.kind',
      'head',
    ),
    (
      'task.objective.kind=cross_entropy',
      'task.objective.kind',
      'cross_entropy',
    ),
    (f'{_TIE},teacher.ensemble_size=3', 'teacher.ensemble_size', 3),
    (f'{_TIE},teacher.width=2', 'teacher.width', 2),
    (
      f'{_TIE},task.objective.teacher=[gone,b]',
      'task.objective.teacher',
      'gone',
    ),
    (
      'task.initialize_from=[teacher],teacher.ensemble_size=3',
      'teacher.ensemble_size',
      3,
    ),
    (
      'task.initialize_from=[teacher],task.model.depth=16',
      'teacher.depth',
      10,
    ),
    ('task.initialize_from=[a,b]', 'task.initialize_from', None),
    ('task.initialize_from=[gone,b,c,d]', 'task.initialize_from', 'gone'),
    ('evaluation.corruptions=[fog_machine]', 'corruption', 'fog_machine'),
    ('task.objective.teacher=[gone]', 'task.objective.teacher', 'gone'),
  ],
)
def test_distill_leaves_no_folder_behind(text, name, value, tmp_path):
  path = tmp_path / 'student'
  with refusals.refused(name) as caught:
    experiments.distill(_config(text), str(path), _CPU)
  assert value is None or caught.value.value == value
  assert not path.exists()


def test_a_teacher_that_does_not_fit_is_refused(tmp_path):
  fits = _run(tmp_path / 'fits')
  (tmp_path / 'empty').mkdir()
  bad = {
    _run(tmp_path / 'classes', _npz(tmp_path / 'a.npz', 16, 7)): '10 classes',
    _run(tmp_path / 'size', _npz(tmp_path / 'b.npz', 8, 10)): '[16, 16, 3]',
    _run(tmp_path / 'half', step=3): 'complete',
    str(tmp_path / 'gone'): 'run folder',
    str(tmp_path / 'empty'): 'run folder',
  }
  path = tmp_path / 'student'
  for folder, expected in bad.items():
    config = _config()
    config.task.objective.teacher = (folder, fits)
    with refusals.refused('task.objective.teacher', folder, expected):
      experiments.distill(config, str(path), _CPU)
    assert not path.exists()
  # Two members do not fit a head student of four; a mean takes any number.
  config.task.objective.teacher = (fits, fits)
  config.task.objective.kind = 'head'
  with refusals.refused('task.objective.kind', 'head'):
    experiments.distill(config, str(path), _CPU)
  assert not path.exists()
  config.task.objective.kind = 'knowledge'
  with pytest.raises(AssertionError, match='it began to train'):
    experiments.distill(config, str(path), _CPU)


def test_size_of_a_teacher(tmp_path):
  config = _config('teacher.ensemble_size=3')
  assert training.teacher_size(experiments.opened(config)) == 3
  config.task.objective.teacher = (_run(tmp_path),) * 2
  assert training.teacher_size(experiments.opened(config)) == 2


def _students(folders):
  return _config(
    f'task.model.ensemble_size=2,task.initialize_from=[{",".join(folders)}]'
  )


def test_networks_that_do_not_fit_are_refused_as_a_start(tmp_path):
  fits = _run(tmp_path / 'fits')
  served = tmp_path / 'served'
  exporting.export([fits], str(served))
  bad = {
    _run(tmp_path / 'wide', 'teacher.width=2'): 'WRN-10-1',
    _run(tmp_path / 'classes', _npz(tmp_path / 'a.npz', 16, 7)): '10 classes',
    _run(tmp_path / 'half', step=3): 'complete',
    str(served): 'run folder',
  }
  path = tmp_path / 'student'
  config = _students([fits, fits])
  config.teacher.ensemble_size = 2
  for train in experiments.train, experiments.distill:
    for folder, expected in bad.items():
      with refusals.refused('task.initialize_from', folder, expected):
        train(_students([fits, folder]), str(path), _CPU)
      assert not path.exists()
    with pytest.raises(AssertionError, match='it began to train'):
      train(config, str(tmp_path / train.__name__), _CPU)


def test_the_word_for_the_teacher_needs_one(tmp_path, monkeypatch):
  path, fits = tmp_path / 'model', _run(tmp_path / 'fits')
  config = _students(['teacher'])
  with refusals.refused('task.initialize_from', ['teacher']):
    experiments.train(config, str(path), _CPU)
  assert not path.exists()
  taken = []
  monkeypatch.setattr(
    session,
    'train',
    lambda experiment, *args: taken.append(experiment.config.task),
  )
  config.task.objective.teacher = (fits,) * 2
  for train in experiments.train, experiments.distill:
    train(config, str(path), _CPU)
  # The caller's configuration is unchanged.
  assert config.task.initialize_from == configs.FROM_TEACHER
  plain, student = taken
  assert plain.initialize_from == student.initialize_from == (fits, fits)
  assert plain.objective.teacher == ()


def test_a_folder_of_another_experiment_stays_as_it_is(tmp_path):
  path = _run(tmp_path / 'run', 'task.seed=7')
  for train in experiments.train, experiments.distill:
    with refusals.refused('model_dir', path):
      train(_config('trainer.train_steps=5'), path, _CPU)
  assert sorted(os.listdir(path)) == [
    'checkpoint',
    'ckpt-5.data-00000-of-00001',
    'ckpt-5.index',
    'params.yaml',
  ]


def test_an_unwritable_folder_is_refused_before_the_teacher_is_trained(
  tmp_path,
):
  (tmp_path / 'file').write_text('')
  path = str(tmp_path / 'file' / 'run')
  with refusals.refused('model_dir', path):
    experiments.distill(_config(), path, _CPU)


def test_train_takes_no_teacher(tmp_path, monkeypatch):
  taken = []
  monkeypatch.setattr(session, 'train', lambda *args: taken.append(args))
  config = _config('task.objective.teacher=[gone],task.objective.kind=head')
  experiments.train(config, str(tmp_path), _CPU)
  ((experiment, *_),) = taken
  resolved = experiment.config
  assert resolved.task.objective.kind == 'cross_entropy'
  assert resolved.task.objective.teacher == ()
  # The caller's configuration is unchanged.
  assert config.task.objective.kind == 'head'
