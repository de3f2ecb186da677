"""Tests of training that diverges: where it stops, and how it goes back.

The learning rate of the 10th step is so large that the squares of the weights
then overflow float32. So the first loss that is not finite is that of the 11th
step, the third step in a loop of four.
"""

import json
import os

from uncertainty_distill import configs, runs, training
from uncertainty_distill.errors import DivergedError
from uncertainty_distill.runtime import progress
from uncertainty_distill.training import recovery

import experiments
import numpy as np
import pytest
import refusals
import run_weights
import running
import tensorflow as tf
import tf_keras
from official.modeling import optimization

_TEXT = (
  'task.objective.kind=cross_entropy,task.model.ensemble_size=1,'
  'trainer.train_steps=16,trainer.steps_per_loop=4,'
  'trainer.checkpoint_interval=4,trainer.max_to_keep=3,'
  'task.train_data.num_examples=128,task.train_data.global_batch_size=32,'
)
# Powers of 2, whose products are exact.
_RATE, _HUGE, _FACTOR = 2.0**-3, 2.0**80, 2.0**-83


def _config(text='', rates=(_RATE, _HUGE), boundaries=(8,)):
  config = configs.load_config(
    'digits_wrn10_1', params_override=f'{_TEXT}{text}'
  )
  config.trainer.optimizer_config = optimization.OptimizationConfig(
    {
      'optimizer': {'type': 'sgd', 'sgd': {'momentum': 0.9, 'nesterov': True}},
      'learning_rate': {
        'type': 'stepwise',
        'stepwise': {
          'boundaries': boundaries,
          'values': rates,
        },
      },
    }
  )
  return training.resolve(config)


def _rollbacks(run):
  with open(os.path.join(run.path, 'rollbacks.json'), encoding='utf-8') as file:
    return json.load(file)


@pytest.mark.parametrize(
  'kind',
  [
    'sgd',
    'adam',
    'adamw',
    'lamb',
    'lars',
    'rmsprop',
    'adagrad',
    'sgd_experimental',
    'adam_experimental',
    'adamw_experimental',
    'adafactor_keras',
  ],
)
def test_a_step_makes_no_variables(kind):
  config = optimization.OptimizationConfig(
    {
      'optimizer': {'type': kind},
      'learning_rate': {'type': 'constant', 'constant': {'learning_rate': 2.0}},
    }
  )
  weight = tf.Variable([1.0, 2.0])
  optimizer = recovery.build_optimizer(config, 0.0, [weight])

  @tf.function
  def step():
    optimizer.apply_gradients([(tf.constant([1.0, 1.0]), weight)])

  step()
  # It would be traced twice if the first call made variables.
  assert step.experimental_get_tracing_count() == 1
  np.testing.assert_array_equal(weight, [1.0, 2.0])  # The rate's factor is 0.


@pytest.fixture(scope='module', name='recovered')
def _recovered(one_device, tmp_path_factory):
  """A run that went back once, and the overrides of its configuration."""
  text = (
    f'{running.EAGER}trainer.recovery_max_trials=1,'
    f'trainer.recovery_learning_rate_factor={_FACTOR}'
  )
  path = str(tmp_path_factory.mktemp('recovered') / 'run')
  return experiments.train_run(_config(text), path, one_device, False), text


def test_training_stops_at_the_step_and_names_the_term(one_device, tmp_path):
  path = str(tmp_path / 'run')
  for _ in range(2):  # The same command ends the same way.
    with pytest.raises(DivergedError) as caught:
      experiments.train_run(_config(), path, one_device, evaluate=False)
    what, message = caught.value.what, str(caught.value)
    assert what.startswith(f'{path}: l2 ') and 'loss' not in what
    assert caught.value.step == 11
    assert 'step 8' in message and 'trainer.recovery_max_trials' in message
    run = runs.open_run(path, '--run')
    assert run.step == 8 and not run.is_complete
  assert all(
    np.isfinite(value).all() for value in run_weights.tensors(run).values()
  )
  assert not os.path.exists(os.path.join(path, 'rollbacks.json'))


def test_going_back_is_training_with_a_lower_rate_from_there(
  recovered, one_device, tmp_path
):
  run, _ = recovered
  assert run.is_complete
  record = _rollbacks(run)
  assert record['learning_rate_factor'] == _FACTOR
  (noted,) = record['rollbacks']
  assert (noted['step'], noted['back_to']) == (11, 8)
  assert 'l2' in noted['what']
  # The 9th step, the first after going back, has the lowered first rate.
  rates = _RATE, _RATE * _FACTOR, _HUGE * _FACTOR
  reference = experiments.train_run(
    _config(running.EAGER, rates, (7, 8)), str(tmp_path), one_device, False
  )
  assert not os.path.exists(os.path.join(reference.path, 'rollbacks.json'))
  run_weights.assert_same_bits(run, reference)


def test_a_run_that_is_stopped_remembers_its_roll_backs(
  recovered, one_device, tmp_path, monkeypatch, caplog
):
  class Bar(progress.Bar):
    def update(self, n=1):
      super().update(n)
      if os.path.exists(os.path.join(path, 'rollbacks.json')):
        raise KeyboardInterrupt

  undisturbed, text = recovered
  path = str(tmp_path / 'run')
  config = _config(text)
  with monkeypatch.context() as patched:
    patched.setattr(progress, 'Bar', Bar)
    with pytest.raises(KeyboardInterrupt):
      experiments.train_run(config, path, one_device, False)
  # Training stopped at the end of the first loop after going back.
  assert runs.open_run(path, '--run').step == 12
  (line,) = [
    r.message for r in caplog.records if r.name.startswith('uncertainty')
  ]
  for figure in 'step 11', 'step 8', f'{_FACTOR:g}', '1 of 1':
    assert figure in line
  run = experiments.train_run(config, path, one_device, False)
  assert _rollbacks(run) == _rollbacks(undisturbed)
  run_weights.assert_same_bits(run, undisturbed)


def test_it_goes_further_back_where_that_does_not_help(one_device, tmp_path):
  path = str(tmp_path / 'run')
  config = _config(
    f'{running.EAGER}trainer.recovery_max_trials=2,'
    'trainer.recovery_learning_rate_factor=1'
  )
  with pytest.raises(DivergedError) as caught:
    experiments.train_run(config, path, one_device, False)
  assert caught.value.step == 11
  run = runs.open_run(path, '--run')
  assert [r['back_to'] for r in _rollbacks(run)['rollbacks']] == [8, 4]
  # Training has reached step 8 once more.
  assert run.step == 8 and 'step 8' in str(caught.value)


def test_an_account_that_was_changed_is_refused(one_device, tmp_path):
  path = str(tmp_path / 'run')
  config = _config(running.EAGER)
  runs.claim_run(path, config)
  for content in '{', '{"format": 1, "learning_rate_factor": 1}':
    (tmp_path / 'run' / 'rollbacks.json').write_text(content)
    with refusals.refused('run folder', f'{path}/rollbacks.json'):
      experiments.train_run(config, path, one_device, False)


@pytest.mark.parametrize(
  'text, rates, what, step',
  [
    (
      'trainer.loss_upper_bound=0.01,trainer.recovery_begin_steps=5',
      None,
      'trainer.loss_upper_bound',
      8,
    ),
    # The last update of a loop overflows float32, and no loss has seen it.
    ('', (_RATE, _HUGE, _RATE), 'the weights', 4),
  ],
)
def test_other_numbers_diverge(text, rates, what, step, one_device, tmp_path):
  path = str(tmp_path / 'run')
  config = (
    _config(running.EAGER + text, rates, (2, 3))
    if rates
    else _config(running.EAGER + text)
  )
  with pytest.raises(DivergedError) as caught:
    experiments.train_run(config, path, one_device, False)
  assert what in caught.value.what and caught.value.step == step
  assert runs.open_run(path, '--run').step == (0 if rates else 4)


def test_a_teacher_without_numbers_is_named_by_its_term(
  student, one_device, tmp_path
):
  (path,) = student.task.objective.teacher
  teacher = runs.open_run(path, '--run')
  model = teacher.load_model()
  model.get_layer('logits').bias.assign([np.inf] * 10)
  broken = runs.claim_run(str(tmp_path / 'teacher'), teacher.config)
  tf.train.CheckpointManager(
    tf.train.Checkpoint(model=model), broken.path, max_to_keep=1
  ).save(checkpoint_number=teacher.step)
  student = runs.map_paths(student, lambda _: broken.path)
  configs.override_by_text(student, running.EAGER.strip(','))
  with pytest.raises(DivergedError) as caught:
    experiments.train_run(student, str(tmp_path / 'student'), one_device, False)
  assert ': distillation ' in caught.value.what and caught.value.step == 1


def test_a_stopped_attempt_leaves_the_usual_precision(tmp_path):
  run = runs.RunFolder(str(tmp_path), _config())

  def stopped(factor):
    assert factor == 1
    tf_keras.mixed_precision.set_global_policy('mixed_bfloat16')
    raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    recovery.train(run, tf.distribute.get_strategy(), stopped)
  assert tf_keras.mixed_precision.global_policy().name == 'float32'
