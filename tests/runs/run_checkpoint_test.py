"""Run folders whose checkpoint does not fit their description."""

import os

from uncertainty_distill import configs, data, errors, models, runs
from uncertainty_distill.trained import loading

import pytest
import tensorflow as tf


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
  _save(run, model=models.build_model(**narrow))


@pytest.mark.parametrize('spoil', [_save_nothing, _save_another_width])
def test_refuses_a_checkpoint_of_something_else(tmp_path, spoil):
  run = _run(tmp_path, width=2, ensemble_size=1)
  spoil(run)
  with pytest.raises(errors.InputError, match='run folder: .* describes') as e:
    run.load_model()
  assert str(tmp_path) in str(e.value)


def test_a_damaged_checkpoint_is_named_and_no_older_one_is_taken(tmp_path):
  run = _run(tmp_path, width=2, ensemble_size=1)
  model = models.build_model(**run.config.task.model.as_dict())
  steps = run.config.trainer.train_steps
  checkpoint = tf.train.Checkpoint(model=model)
  manager = tf.train.CheckpointManager(checkpoint, run.path, max_to_keep=2)
  for step in steps - 5, steps:
    manager.save(step)
  assert run.is_complete
  os.truncate(tmp_path / f'ckpt-{steps}.data-00000-of-00001', 1000)
  assert run.step == steps - 5 and not run.is_complete
  for load in run.load_model, lambda: loading.open_trained(run.path, '--run'):
    with pytest.raises(
      errors.InputError,
      match=(
        rf'checkpoint {steps} is damaged \(ckpt-{steps}.data-00000-of-00001: '
        rf'.*\); it is at step {steps - 5} of {steps}; run its command again'
      ),
    ) as e:
      load()
    assert str(tmp_path) in str(e.value) and '\n' not in str(e.value)
