"""Tests that mistakes are found before anything is trained or written."""

import os

from uncertainty_distill import configs, exporting, models, runs, training
from uncertainty_distill.data import corruptions
from uncertainty_distill.errors import InputError
from uncertainty_distill.training import checks, session

import numpy as np
import pytest
import tensorflow as tf

_CPU = tf.distribute.OneDeviceStrategy('CPU:0')


@pytest.fixture(autouse=True)
def no_training(monkeypatch):
  """Makes training fail in another way than a user's mistake."""

  def refuse(*args, **kwargs):
    del args, kwargs
    raise AssertionError('it began to train')

  monkeypatch.setattr(session, 'Trainer', refuse)


def _config(text=''):
  return configs.load_config('digits_wrn10_1', params_override=text)


def _run(path, text='', step=None):
  """Writes a single network's run folder, at its end if no step is given."""
  member = configs.member_config(_config(f'trainer.train_steps=5,{text}'))
  run = runs.claim_run(str(path), training.resolve(member))
  model = models.build_model(**run.config.task.model.as_dict())
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


def test_shifts_of_a_configuration():
  shifts = checks.parse_shifts(_config().evaluation)
  assert shifts[0] == corruptions.CLEAN
  assert len(shifts) == len(set(shifts)) == 1 + 5 * 15
  chosen = _config(
    'evaluation.corruptions=[contrast],evaluation.severities=[4]'
  )
  assert checks.parse_shifts(chosen.evaluation) == [
    corruptions.CLEAN,
    corruptions.Shift(corruptions.Corruption.CONTRAST, 4),
  ]
  clean = _config('evaluation.corruptions=[]')
  assert checks.parse_shifts(clean.evaluation) == [corruptions.CLEAN]


@pytest.mark.parametrize(
  'text, message',
  [
    ('evaluation.corruptions=[contrasts]', 'corruption: .*you mean .contrast'),
    (
      'task.train_data.global_batch_size=33',
      'task.train_data.global_batch_size: got 33, wants a multiple of the 2',
    ),
    (
      'task.validation_data.global_batch_size=33',
      'task.validation_data.global_batch_size: got 33, wants a multiple of',
    ),
    ('task.train_data.name=gone.npz', "dataset name: got 'gone.npz', wants"),
    ('task.train_data.name=mnist', "dataset name: got 'mnist', wants"),
    ('task.train_data.num_examples=798', r'num_examples: got 798, .* to 797'),
    ('task.validation_data.num_examples=1001', 'got 1001, .* to 1000'),
    ('task.model.width=0', 'task.model.width: got 0, wants at least 1'),
  ],
)
def test_what_check_finds(text, message):
  replicas = tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])
  training.check(_config(), replicas)
  with pytest.raises(InputError, match=message) as caught:
    training.check(_config(text), replicas)
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
  'text, message',
  [
    # The teacher's members are checked before the first one is trained.
    ('teacher.global_batch_size=798', 'at most the 797 training examples'),
    ('teacher.depth=11', 'teacher.depth: got 11'),
    (
      'task.objective.kind=head,teacher.ensemble_size=3',
      r'teacher members \(3\) as student members \(4\)',
    ),
    ('task.objective.kind=cross_entropy', 'wants knowledge or head'),
    (
      'task.objective.weight_tie=0.1,teacher.ensemble_size=3',
      "teacher.ensemble_size: got 3, wants the student's 4, for task.obj",
    ),
    (
      'task.objective.weight_tie=0.1,teacher.width=2',
      "teacher.width: got 2, wants the student's 1, for task.objective",
    ),
    (
      'task.objective.weight_tie=0.1,task.objective.teacher=[a,b]',
      r"'2 folders', wants one for each of the student's 4 members",
    ),
    (
      'task.initialize_from=[teacher],teacher.ensemble_size=3',
      "teacher.ensemble_size: got 3, wants the student's 4, for task.init",
    ),
    (
      'task.initialize_from=[teacher],task.model.depth=16',
      "teacher.depth: got 10, wants the student's 16, for task.init",
    ),
    ('task.initialize_from=[a,b]', 'wants 4 folders, one for each of the mod'),
    (
      'task.initialize_from=[a,b,c,gone]',
      "task.initialize_from: got 'a', wants a run folder .* missing folder",
    ),
    ('evaluation.corruptions=[fog_machine]', 'corruption: '),
    ('task.objective.teacher=[gone]', "gone', wants a run folder.*missing"),
  ],
)
def test_distill_leaves_no_folder_behind(text, message, tmp_path):
  path = tmp_path / 'student'
  with pytest.raises(InputError, match=message):
    training.distill(_config(text), str(path), _CPU)
  assert not path.exists()


def test_a_teacher_that_does_not_fit_is_refused(tmp_path):
  fits = _run(tmp_path / 'fits')
  (tmp_path / 'empty').mkdir()
  bad = {
    _run(
      tmp_path / 'classes', _npz(tmp_path / 'a.npz', 16, 7)
    ): 'wants a model of 10 classes; this one has 7',
    _run(
      tmp_path / 'size', _npz(tmp_path / 'b.npz', 8, 10)
    ): r'wants a model of images \[16, 16, 3\]; this one takes \[8, 8, 3\]',
    _run(tmp_path / 'half', step=3): 'it is at step 3 of 5',
    str(tmp_path / 'gone'): 'this is a missing folder',
    str(tmp_path / 'empty'): 'this is an empty folder',
  }
  path = tmp_path / 'student'
  for folder, message in bad.items():
    config = _config()
    config.task.objective.teacher = (folder, fits)
    with pytest.raises(InputError, match=message) as caught:
      training.distill(config, str(path), _CPU)
    assert str(caught.value).startswith(f"--teacher: got '{folder}'")
    assert not path.exists()
  # Two members for a head student of four; any number for the mean.
  config.task.objective.teacher = (fits, fits)
  config.task.objective.kind = 'head'
  with pytest.raises(InputError, match=r'teacher members \(2\) as student'):
    training.distill(config, str(path), _CPU)
  assert not path.exists()
  config.task.objective.kind = 'knowledge'
  with pytest.raises(AssertionError, match='it began to train'):
    training.distill(config, str(path), _CPU)


def test_size_of_a_teacher(tmp_path):
  config = _config('teacher.ensemble_size=3')
  assert training.teacher_size(config) == 3
  config.task.objective.teacher = (_run(tmp_path),) * 2
  assert training.teacher_size(config) == 2


def _students(folders):
  return _config(
    f'task.model.ensemble_size=2,task.initialize_from=[{",".join(folders)}]'
  )


@pytest.mark.parametrize('train', [training.train, training.distill])
def test_networks_that_do_not_fit_are_refused_as_a_start(train, tmp_path):
  fits = _run(tmp_path / 'fits')
  served = tmp_path / 'served'
  exporting.export([fits], str(served))
  bad = {
    _run(tmp_path / 'wide', 'teacher.width=2'): 'this one is WRN-10-2 of',
    _run(
      tmp_path / 'classes', _npz(tmp_path / 'a.npz', 16, 7)
    ): 'this one is WRN-10-1 of .* and 7 classes',
    _run(tmp_path / 'half', step=3): 'it is at step 3 of 5',
    str(served): 'SavedModels .* do not show the weights',
  }
  path = tmp_path / 'student'
  for folder, message in bad.items():
    with pytest.raises(InputError, match=message) as caught:
      train(_students([fits, folder]), str(path), _CPU)
    assert str(caught.value).startswith(f"task.initialize_from: got '{folder}'")
    assert '\n' not in str(caught.value) and not path.exists()
  config = _students([fits, fits])
  config.teacher.ensemble_size = 2
  with pytest.raises(AssertionError, match='it began to train'):
    train(config, str(path), _CPU)


def test_the_word_for_the_teacher_needs_one(tmp_path, monkeypatch):
  path, fits = tmp_path / 'model', _run(tmp_path / 'fits')
  config = _students(['teacher'])
  with pytest.raises(InputError, match='run folders, where there is no teach'):
    training.train(config, str(path), _CPU)
  assert not path.exists()
  taken = []
  monkeypatch.setattr(
    session, 'train', lambda config, *args: taken.append(config.task)
  )
  config.task.objective.teacher = (fits,) * 2
  for train in training.train, training.distill:
    train(config, str(path), _CPU)
  # The caller's configuration is as it was.
  assert config.task.initialize_from == configs.FROM_TEACHER
  plain, student = taken
  assert plain.initialize_from == student.initialize_from == (fits, fits)
  assert plain.objective.teacher == ()


@pytest.mark.parametrize('train', [training.train, training.distill])
def test_a_folder_of_another_experiment_stays_as_it_is(train, tmp_path):
  path = _run(tmp_path / 'run', 'task.seed=7')
  with pytest.raises(InputError, match='belongs to a run with task.model.'):
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
  with pytest.raises(InputError, match='a folder that can be written'):
    training.distill(_config(), str(tmp_path / 'file' / 'run'), _CPU)


def test_train_takes_no_teacher(tmp_path, monkeypatch):
  taken = []
  monkeypatch.setattr(session, 'train', lambda *args: taken.append(args))
  config = _config('task.objective.teacher=[gone],task.objective.kind=head')
  training.train(config, str(tmp_path), _CPU)
  ((resolved, *_),) = taken
  assert resolved.task.objective.kind == 'cross_entropy'
  assert resolved.task.objective.teacher == ()
  # The caller's configuration is as it was.
  assert config.task.objective.kind == 'head'
