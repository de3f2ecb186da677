"""Tests of a search in which one run diverges."""

import json
import os

from uncertainty_distill import configs, runs, training
from uncertainty_distill.errors import DivergedError
from uncertainty_distill.training import (
  held_out_predictions,
  hyper_deep_ensemble,
  session,
)

import experiments
import numpy as np
import pytest
import running

# This L2 makes the first steps overflow float32. Run 0 has the teacher's own L2
# instead.
_TEXT = running.EAGER + (
  'trainer.train_steps=4,trainer.steps_per_loop=2,trainer.warmup_epochs=0,'
  'task.train_data.num_examples=128,teacher.global_batch_size=32,'
  'teacher.search.held_out_fraction=0.25,teacher.search.num_runs=2,'
  'teacher.search.l2_range=[1e30,1e31],teacher.ensemble_size='
)


def test_a_run_that_diverges_is_the_worst_and_is_not_trained_again(
  one_device, tmp_path, monkeypatch, caplog
):
  config = configs.load_config('digits_wrn10_1', params_override=f'{_TEXT}1')
  path = str(tmp_path / 'teacher')
  members = experiments.train_teacher(config, path, one_device, False)
  assert [os.path.basename(member) for member in members] == ['run_000']
  assert f'{path}/run_001: ' in caplog.text
  with open(os.path.join(path, 'search.json'), encoding='utf-8') as file:
    text = file.read()
  healthy, diverged = json.loads(text)['runs']
  assert np.isfinite(healthy['nll']) and diverged['nll'] is None
  log_probs = held_out_predictions.read_log_probs(
    os.path.join(path, 'run_001.npz')
  )
  assert log_probs.shape == (32, 10) and np.isnan(log_probs).all()
  assert not runs.open_run(os.path.join(path, 'run_001'), '--run').is_complete
  assert training.complete_members(config, path) == members
  with monkeypatch.context() as patched:
    patched.setattr(session, 'Trainer', None)
    assert experiments.train_teacher(config, path, one_device, False) == members
    # More members are wanted than there are runs with finite predictions.
    both = configs.load_config('digits_wrn10_1', params_override=f'{_TEXT}2')
    with pytest.raises(DivergedError, match='1 of 2'):
      experiments.train_teacher(both, path, one_device, False)
  with open(os.path.join(path, 'search.json'), encoding='utf-8') as file:
    assert file.read() == text
  # Another bound could judge the run otherwise.
  experiment = experiments.opened(config, one_device).teacher_runs[1]
  run = os.path.join(path, 'run_001')
  assert hyper_deep_ensemble.is_run_finished(experiment, run)
  experiment.config.trainer.loss_upper_bound = 1e9
  assert not hyper_deep_ensemble.is_run_finished(experiment, run)
