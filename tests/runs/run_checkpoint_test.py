"""Tests of run folders whose checkpoint is of another model or damaged."""

import os

from uncertainty_distill import configs, data, runs, trained

import pytest
import refusals
import tensorflow as tf
import tiny_networks


def _run(path, **model):
  config = configs.load_config('digits_wrn10_1')
  config = configs.resolve(config, data.open_dataset('digits'))
  config.task.model.override(model)
  return runs.claim_run(str(path), config)


def _save(run, **items):
  checkpoint = tf.train.Checkpoint(**items)
  manager = tf.train.CheckpointManager(checkpoint, run.path, max_to_keep=1)
  manager.save(run.config.trainer.train_steps)


def _save_nothing(run):
  _save(run)


def _save_another_width(run):
  narrow = {**run.config.task.model.as_dict(), 'width': 1}
  _save(run, model=tiny_networks.build(**narrow))


@pytest.mark.parametrize('spoil', [_save_nothing, _save_another_width])
def test_refuses_a_checkpoint_of_something_else(tmp_path, spoil):
  run = _run(tmp_path, width=2, ensemble_size=1)
  spoil(run)
  with refusals.refused('run folder', run.path, runs.PARAMS_FILE):
    run.load_model()


def test_a_damaged_checkpoint_is_named_and_no_older_one_is_taken(tmp_path):
  run = _run(tmp_path, width=2, ensemble_size=1)
  model = run.config.task.model.build()
  steps = run.config.trainer.train_steps
  checkpoint = tf.train.Checkpoint(model=model)
  manager = tf.train.CheckpointManager(checkpoint, run.path, max_to_keep=2)
  for step in steps - 5, steps:
    manager.save(step)
  assert run.is_complete
  file = f'ckpt-{steps}.data-00000-of-00001'
  os.truncate(tmp_path / file, 1000)
  # The step comes from the checkpoint's name.
  assert run.step == steps and run.is_complete
  for load in run.load_model, trained.open_trained([run.path], 'run').ensemble:
    with refusals.refused('run folder', run.path) as caught:
      load()
    assert file in caught.value.hint and f'ckpt-{steps}.*' in caught.value.hint
