"""Tests of run folders: what they hold, and which runs they refuse."""

import os

from uncertainty_distill import configs, data, runs
from uncertainty_distill.errors import InputError
from uncertainty_distill.runs import checkpoints

import numpy as np
import pytest
import refusals
import tensorflow as tf


def _config(text='', name='digits_wrn10_1'):
  config = configs.load_config(name, params_override=text)
  return configs.resolve(config, data.open_configured(config.task.train_data))


def _save(run, step):
  """Writes a checkpoint as training does; returns its model."""
  model = run.config.task.model.build()
  tf.train.CheckpointManager(
    tf.train.Checkpoint(model=model), run.path, max_to_keep=2
  ).save(checkpoint_number=step)
  return model


def test_a_run_can_be_claimed_again(tmp_path):
  path = str(tmp_path / 'deep' / 'run')
  assert not runs.is_run(path)
  runs.claim_run(path, _config())
  assert runs.is_run(path)
  # Neither half-written files nor a file to test writing are left.
  assert os.listdir(path) == [runs.PARAMS_FILE]
  assert runs.claim_run(path, _config()).path == path


@pytest.mark.parametrize(
  'text',
  [
    'runtime.num_gpus=1',
    'runtime.mixed_precision_dtype=bfloat16',
    'evaluation.corruptions=[contrast]',
    'teacher.epochs=1',
    'task.validation_data.global_batch_size=100',
    'trainer.max_to_keep=5',
    'task.train_data.data_dir=elsewhere',
    'trainer.steps_per_loop=3',
    'trainer.validation_interval=7',
    'trainer.validation_steps=7',
    'trainer.validation_summary_subdir=other',
    'trainer.checkpoint_interval=7',
    'trainer.recovery_max_trials=3',
    'trainer.loss_upper_bound=7',
    'trainer.recovery_learning_rate_factor=0.1',
    'trainer.recovery_begin_steps=7',
  ],
)
def test_what_does_not_change_the_weights_may_change(text, tmp_path):
  runs.claim_run(str(tmp_path), _config())
  changed = _config(text)
  runs.claim_run(str(tmp_path), changed)
  # The folder describes the last configuration.
  assert runs.open_run(str(tmp_path), 'run').config == changed


def _refused(path, difference):
  """Asserts that a folder is refused because its run lacks a certain value."""
  return refusals.refused('model_dir', str(path), difference)


@pytest.mark.parametrize(
  'text, difference',
  [
    ('task.seed=1', 'task.seed=1'),
    ('task.model.width=2', 'task.model.width=2'),
    ('task.model.ensemble_size=2', 'task.model.ensemble_size=2'),
    ('task.objective.kind=head', "task.objective.kind='head'"),
    ('task.objective.weight=0.5', 'task.objective.weight=0.5'),
    ('task.l2=0', 'task.l2=0'),
    ('trainer.epochs=5', 'trainer.epochs=5'),
    ('trainer.decay_fractions=[]', 'trainer.decay_fractions=[]'),
    ('task.train_data.num_examples=90', 'num_examples=90'),
    ('task.train_data.views=3', 'task.train_data.views=3'),
    ('task.train_data.augmentation_seed=3', 'augmentation_seed=3'),
  ],
)
def test_another_experiment_is_refused_by_name(text, difference, tmp_path):
  runs.claim_run(str(tmp_path), _config())
  before = (tmp_path / runs.PARAMS_FILE).read_bytes()
  with _refused(tmp_path, difference):
    runs.claim_run(str(tmp_path), _config(text))
  assert (tmp_path / runs.PARAMS_FILE).read_bytes() == before
  with _refused(tmp_path, ''):
    runs.claim_run(str(tmp_path), _config(name='cifar10_wrn10_1'))


def test_checkpoints_without_a_description_are_refused(tmp_path):
  run = runs.claim_run(str(tmp_path), _config())
  _save(run, 3)
  (tmp_path / runs.PARAMS_FILE).unlink()
  with _refused(tmp_path, runs.PARAMS_FILE):
    runs.claim_run(str(tmp_path), _config())


def test_files_of_others_are_not_overwritten(tmp_path):
  for name in 'checkpoint', 'data.yaml':
    folder = tmp_path / name
    folder.mkdir()
    (folder / name).write_text('mine')
    with refusals.refused('model_dir', str(folder)) as caught:
      runs.match_run(str(folder), _config())
    assert name in caught.value.hint
  (tmp_path / 'weights' / 'checkpoint').mkdir(parents=True)
  checkpoints.repair_state_file(str(tmp_path / 'weights'))
  assert (tmp_path / 'weights' / 'checkpoint').is_dir()


def test_matching_writes_nothing(tmp_path):
  path = tmp_path / 'run'
  run = runs.match_run(str(path), _config())
  assert (run.path, run.step, run.is_complete) == (str(path), 0, False)
  assert not path.exists()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
  # Permissions do not stop root, but no file can lie below a regular file.
  file = tmp_path / 'file'
  file.write_text('')
  for path in file, file / 'run':
    with _refused(path, ''):
      runs.claim_run(str(path), _config())


def test_folders_that_are_no_runs_are_told_apart(tmp_path):
  (tmp_path / 'empty').mkdir()
  (tmp_path / 'other').mkdir()
  (tmp_path / 'other' / 'file').write_text('')
  messages = set()
  for name in 'gone', 'empty', 'other':
    path = str(tmp_path / name)
    with refusals.refused('teacher', path, runs.PARAMS_FILE) as caught:
      runs.open_run(path, 'teacher')
    messages.add(str(caught.value).replace(name, ''))
  assert len(messages) == 3


@pytest.mark.parametrize(
  'content',
  ['task: [', 'task: {model: {width: wide}}', 'model: resnet'],
)
def test_a_description_that_is_not_ours_is_refused(content, tmp_path):
  (tmp_path / runs.PARAMS_FILE).write_text(content)
  with pytest.raises(InputError) as caught:
    runs.open_run(str(tmp_path), 'run')
  assert str(tmp_path) in str(caught.value)


def test_step_and_completion_follow_the_newest_checkpoint(tmp_path):
  config = _config('trainer.train_steps=9')
  run = runs.claim_run(str(tmp_path / 'run-7'), config)
  assert (run.checkpoint, run.step, run.is_complete) == (None, 0, False)
  with refusals.refused('run folder', run.path):
    run.load_model()
  for step, complete in (8, False), (9, True), (10, True):
    model = _save(run, step)
    assert (run.step, run.is_complete) == (step, complete)
  # The weights are those of the newest checkpoint.
  loaded = runs.open_run(run.path, 'run').load_model()
  for variable, saved in zip(loaded.variables, model.variables, strict=True):
    np.testing.assert_array_equal(variable, saved)


def test_a_tree_of_runs_can_be_moved_and_entered_elsewhere(
  tmp_path, monkeypatch
):
  old, new = tmp_path / 'old', tmp_path / 'new'
  monkeypatch.chdir(tmp_path)
  text = 'task.objective.teacher=[old/teacher/member_0]'
  runs.claim_run('old/student', _config(text))
  teacher = runs.open_run(str(old / 'student'), 'run').config.task.objective
  assert teacher.teacher == (str(old / 'teacher' / 'member_0'),)
  # The same teacher by another path.
  monkeypatch.chdir(old)
  runs.claim_run(
    'student', _config('task.objective.teacher=[teacher/member_0]')
  )
  old.rename(new)
  teacher = runs.open_run(str(new / 'student'), 'run').config.task.objective
  assert teacher.teacher == (str(new / 'teacher' / 'member_0'),)
  with _refused(new / 'student', 'task.objective.teacher='):
    runs.claim_run(
      str(new / 'student'),
      _config(f'task.objective.teacher=[{new}/teacher/member_1]'),
    )


def test_networks_to_start_from_move_with_the_tree_and_are_the_run_s(
  tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  text = (
    'task.objective.kind=cross_entropy,task.model.ensemble_size=2,'
    'task.initialize_from=[{}/a,{}/b]'
  )
  runs.claim_run('old/student', _config(text.format('old', 'old')))
  (tmp_path / 'old').rename(tmp_path / 'new')
  opened = runs.open_run('new/student', 'run').config.task
  assert opened.initialize_from == tuple(
    str(tmp_path / 'new' / name) for name in 'ab'
  )
  runs.match_run('new/student', _config(text.format('new', 'new')))
  with _refused('new/student', 'task.initialize_from='):
    runs.match_run('new/student', _config(text.format('new', 'old')))
  with _refused('new/student', 'task.initialize_aligned=True'):
    runs.match_run(
      'new/student',
      _config(text.format('new', 'new') + ',task.initialize_aligned=true'),
    )


def test_a_cache_is_no_part_of_a_run_but_its_views_are(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  runs.claim_run('old/run', _config('task.objective.teacher_cache=old/cache'))
  opened = runs.open_run('old/run', 'run').config
  assert opened.task.objective.teacher_cache == str(tmp_path / 'old' / 'cache')
  # The cache may be elsewhere, or the teacher online on the same views.
  runs.match_run('old/run', _config('task.objective.teacher_cache=b'))
  runs.match_run(
    'old/run',
    _config('task.train_data.views=60,task.train_data.augmentation_seed=0'),
  )
  with _refused('old/run', 'task.train_data.views=0'):
    runs.match_run('old/run', _config())


def test_a_folder_from_before_there_were_views_can_be_taken_up(tmp_path):
  run = runs.claim_run(str(tmp_path), _config())
  path = tmp_path / runs.PARAMS_FILE
  lines = path.read_text().splitlines(keepends=True)
  new = 'views:', 'augmentation_seed:', 'teacher_cache:'
  kept = [line for line in lines if not line.strip().startswith(new)]
  assert len(kept) == len(lines) - 3
  path.write_text(''.join(kept))
  assert runs.match_run(run.path, _config()).config == _config()


def test_a_run_keeps_to_the_data_that_it_began_with(tmp_path, caplog):
  run = runs.claim_run(str(tmp_path / 'run'), _config())

  def check(**fingerprints):
    runs.check_data(run, fingerprints, ('no', 'yes'))

  check(data='z')
  # The data may change before the first checkpoint.
  check(data='a')
  _save(run, 5)
  check(data='a')
  assert not caplog.messages
  with refusals.refused('model_dir', run.path, 'data'):
    check(data='c')
  assert runs.different_data(run, {'data': 'c'}) == ['data']
  # Data that an older version did not note are accepted with a warning.
  check(data='a', teacher='b')
  (line,) = caplog.messages
  assert run.path in line and 'teacher' in line
  with refusals.refused('model_dir', run.path, 'teacher'):
    check(data='a', teacher='c')
  assert runs.noted_class_names(run) == ('no', 'yes')
  os.remove(os.path.join(run.path, runs.run_folder.DATA_FILE))
  assert runs.noted_class_names(run) == ()
  assert not runs.different_data(run, {'data': 'c'})
  check(data='c')
  assert len(caplog.messages) == 2
  with refusals.refused('model_dir', run.path):
    check(data='a')
