"""Run folders whose checkpoint does not fit their description."""

import os

import pytest
import tensorflow as tf

from uncertainty_distill import configs
from uncertainty_distill import data
from uncertainty_distill import errors
from uncertainty_distill import modeling
from uncertainty_distill import runs


def _run(path, **model):
  config = configs.load_config('digits_wrn10_1')
  config = configs.resolve(config, data.dataset_spec('digits'))
  config.task.model.override(model)
  return runs.claim_run(str(path), config)


def _save(run, **items):
  checkpoint = tf.train.Checkpoint(**items)
  manager = tf.train.CheckpointManager(checkpoint, run.path, max_to_keep=1)
  manager.save(run.config.trainer.train_steps)


def _lose_the_weights(run):
  _save(run)
  [weights] = tf.io.gfile.glob(os.path.join(run.path, '*.data-*'))
  os.remove(weights)


def _save_nothing(run):
  _save(run)


def _save_another_width(run):
  narrow = {**run.config.task.model.as_dict(), 'width': 1}
  _save(run, model=modeling.build_model(**narrow))


@pytest.mark.parametrize(
    'spoil', [_lose_the_weights, _save_nothing, _save_another_width]
)
def test_refuses_a_checkpoint_of_something_else(tmp_path, spoil):
  run = _run(tmp_path, width=2, ensemble_size=1)
  spoil(run)
  with pytest.raises(errors.InputError, match='run folder: .* describes') as e:
    run.load_model()
  assert str(tmp_path) in str(e.value)
