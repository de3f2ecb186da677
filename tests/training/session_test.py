"""Tests of whole runs: repeated, stopped and resumed, and on two replicas."""

import collections
import glob
import os
import shutil

from uncertainty_distill import runs, trained, training
from uncertainty_distill.io import files
from uncertainty_distill.training import session

import experiments
import numpy as np
import pytest
import run_weights
import tensorflow as tf
import yaml
from refusals import refused

_CLOCKED = {'steps_per_second', 'examples_per_second'}


def test_checkpoint_holds_the_student_and_not_the_teacher(undisturbed):
  assert undisturbed.is_complete and undisturbed.step == 7
  model = undisturbed.load_model()
  names = run_weights.tensors(undisturbed)
  kinds = collections.Counter(name.split('/')[0] for name in names)
  assert kinds.keys() == {'model', 'optimizer', 'global_step'}
  slots = [name for name in names if '.OPTIMIZER_SLOT' in name]
  assert len(slots) == len(model.trainable_variables)
  assert kinds['model'] == len(model.variables) + len(slots)


def test_a_stopped_run_goes_on_as_if_it_had_not_been(
  student, undisturbed, one_device, read_scalars, tmp_path, interrupted_after
):
  path = str(tmp_path)
  # Step 3 is within an epoch of 4 steps, and between two checkpoints.
  with interrupted_after(3), pytest.raises(KeyboardInterrupt):
    experiments.train_run(student, path, one_device, evaluate=False)
  run = runs.open_run(path, '--run')
  assert run.step == 3 and not run.is_complete
  assert not (tmp_path / 'clean').exists()
  run = experiments.train_run(student, path, one_device)
  run_weights.assert_same_bits(run, undisturbed)
  for folder, steps in ('train', [1, 2, 3, 4, 5, 6, 7]), ('clean', [4, 7]):
    whole = read_scalars(undisturbed, folder)
    resumed = read_scalars(run, folder)
    for tag in whole.keys() - _CLOCKED:
      assert sorted(whole[tag]) == steps
      # The curve also has the loop after which the run was stopped.
      assert resumed[tag] == whole[tag], tag


def test_a_complete_run_is_not_trained_again(
  student, undisturbed, one_device, monkeypatch
):
  def versions():
    return {
      os.path.join(folder, name): files.version(os.path.join(folder, name))
      for folder, _, names in os.walk(undisturbed.path)
      for name in names
    }

  before = versions()
  monkeypatch.setattr(session, 'Trainer', None)
  run = experiments.train_run(student, undisturbed.path, one_device)
  assert run.is_complete
  assert versions() == before


def test_a_complete_student_tells_that_its_teacher_has_changed(
  student, one_device, tmp_path, caplog
):
  path, teacher = str(tmp_path / 'run'), tmp_path / 'teacher'
  shutil.copytree(student.task.objective.teacher[0], teacher)
  config = experiments.eager(student)
  config.task.objective.teacher = (str(teacher),)
  config.trainer.train_steps = 1
  config = training.resolve(config)

  def messages():
    caplog.clear()
    run = experiments.train_run(config, path, one_device, False)
    assert run.is_complete
    return [text for text in caplog.messages if str(teacher) in text]

  messages()
  assert not messages()
  checkpoint = runs.open_run(str(teacher), 'run').checkpoint
  os.utime(f'{checkpoint}.index')  # A copied file has another time, too.
  assert not messages()
  network = runs.open_run(str(teacher), 'run').load_model()
  network.trainable_variables[0].assign_add(
    tf.ones_like(network.trainable_variables[0])
  )
  tf.train.Checkpoint(model=network).write(checkpoint)
  assert len(messages()) == 1
  shutil.rmtree(teacher)
  assert not messages()


def test_two_replicas_take_the_same_steps_as_one(
  student, undisturbed, read_scalars, tmp_path, replicas
):
  assert replicas.num_replicas_in_sync == 2
  run = experiments.train_run(student, str(tmp_path), replicas)
  run_weights.assert_same_but_for_rounding(run, undisturbed, 7)
  first, last = (run_weights.weights(undisturbed, step) for step in (1, 7))
  for name, value in last.items():
    if 'kernel' in name:
      assert np.abs(first[name] - value).max() > 1e-3
  for folder in 'train', 'clean':
    whole, split = (read_scalars(r, folder) for r in (undisturbed, run))
    assert whole.keys() == split.keys()
    for tag in whole.keys() - _CLOCKED:
      assert split[tag][7] == pytest.approx(
        whole[tag][7], rel=1e-4, abs=1e-5
      ), tag


@pytest.mark.parametrize('changed', ['teacher', 'training data'])
def test_a_run_does_not_go_on_with_other_data(
  student, undisturbed, one_device, tmp_path, changed
):
  path = str(tmp_path / 'run')
  shutil.copytree(undisturbed.path, path)
  for file in glob.glob(f'{path}/ckpt-7.*') + [f'{path}/checkpoint']:
    os.remove(file)
  run = runs.open_run(path, 'path')
  assert run.step == 6
  file = os.path.join(path, 'data.yaml')
  with open(file, encoding='utf-8') as opened:
    noted = yaml.safe_load(opened)
  assert len(noted['class names']) == 10 and changed in noted
  with open(file, 'w', encoding='utf-8') as opened:
    yaml.safe_dump({**noted, changed: 'another'}, opened)
  with refused('model_dir', path, changed):
    experiments.train_run(student, path, one_device)
  assert run.step == 6


def test_classes_keep_the_names_of_training(undisturbed, tmp_path):
  path = tmp_path / 'run'
  shutil.copytree(undisturbed.path, path)
  text = (path / 'data.yaml').read_text().replace("- '7'", '- seven')
  (path / 'data.yaml').write_text(text)
  names = trained.open_trained([str(path)], 'path').class_names
  assert names == (*'0123456', 'seven', '8', '9')
