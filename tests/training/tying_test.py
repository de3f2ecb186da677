"""Tests of whole runs whose weights are tied to the teacher's."""

import os

from uncertainty_distill import configs, data, runs, training

import experiments
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

_TIE = 0.5
_STEPS = 10


@pytest.fixture(scope='module', name='tied')
def fixture_tied(tmp_path_factory):
  """A student of two members and a teacher of two networks."""
  config = configs.load_config(
    'digits_wrn10_1',
    params_override=(
      f'trainer.train_steps={_STEPS},trainer.steps_per_loop=1,'
      'trainer.base_learning_rate=0.1,trainer.warmup_epochs=0,'
      'trainer.decay_fractions=[],'
      'task.train_data.num_examples=128,task.train_data.global_batch_size=32,'
      'task.train_data.views=1,task.train_data.augmentation_seed=0,'
      'task.model.ensemble_size=2,task.model.sync_batch_norm=true,'
      f'task.objective.kind=head,task.objective.weight_tie={_TIE}'
    ),
  )
  paths = []
  images = data.open_dataset('digits').train.images[:64]
  for index in range(2):
    member = training.resolve(configs.member_config(config, index))
    path = str(tmp_path_factory.mktemp('teacher'))
    runs.claim_run(path, member)
    tf_keras.utils.set_random_seed(member.task.seed)
    model = member.task.model.build()
    model(images, training=True)
    tf.train.CheckpointManager(
      tf.train.Checkpoint(model=model), path, max_to_keep=1
    ).save(checkpoint_number=_STEPS)
    paths.append(path)
  config.task.objective.teacher = tuple(paths)
  return training.resolve(config)


@pytest.fixture(scope='module', name='run')
def fixture_run(tied, one_device, tmp_path_factory):
  path = str(tmp_path_factory.mktemp('tied'))
  return experiments.train_run(tied, path, one_device, evaluate=False)


def _distance(run):
  """Returns the sum of ||W0 o R_i - W_i||^2, member by member in float64."""
  student = run.load_model()
  total = 0.0
  for index, path in enumerate(run.config.task.objective.teacher):
    member = runs.open_run(path, '--run').load_model()
    for place in student.layers:
      if hasattr(place, 'alpha'):
        weights = place.kernel.numpy().astype(np.float64) * np.outer(
          place.alpha[index], place.gamma[index]
        )
        other = member.get_layer(place.name).kernel.numpy()
        total += np.sum((weights - other) ** 2)
  return total


def test_the_term_falls_and_is_of_the_loss(tied, run, read_scalars):
  scalars = read_scalars(run, 'train')
  objective = tied.task.objective
  for step in range(1, _STEPS + 1):
    at = {tag: values[step] for tag, values in scalars.items()}
    assert at['training_loss'] == pytest.approx(
      (1 - objective.weight) * at['cross_entropy']
      + objective.weight * at['distillation']
      + tied.task.l2 * at['l2']
      + _TIE * at['weight_tie'],
      rel=1e-5,
    )
  tie = [scalars['weight_tie'][step] for step in range(1, _STEPS + 1)]
  assert tie[-1] < 0.5 * tie[0]
  # Each value is from before its step; the distance is from after the last.
  assert _distance(run) == pytest.approx(tie[-1], rel=0.05)


def test_the_checkpoint_holds_no_teacher(run):
  names = tf.train.load_checkpoint(run.checkpoint).get_variable_to_shape_map()
  kinds = {name.split('/')[0] for name in names}
  assert kinds - {'_CHECKPOINTABLE_OBJECT_GRAPH', 'save_counter'} == {
    'model',
    'optimizer',
    'global_step',
  }
  kept = [
    name
    for name in names
    if name.startswith('model/') and '.OPTIMIZER_SLOT' not in name
  ]
  assert len(kept) == len(run.load_model().variables)


def test_two_replicas_take_the_same_steps_as_one(
  tied, run, read_scalars, tmp_path, replicas
):
  config = experiments.eager(tied)
  config.trainer.train_steps = 2
  two = experiments.train_run(config, str(tmp_path), replicas, evaluate=False)
  whole, split = (read_scalars(r, 'train') for r in (run, two))
  for step in 1, 2:
    for tag in 'training_loss', 'weight_tie':
      assert split[tag][step] == pytest.approx(whole[tag][step], rel=1e-3), tag


def test_stored_logits_leave_the_tie_as_it_is(
  tied, run, one_device, read_scalars, tmp_path
):
  # The tie uses the teacher's own weights even if its network need not run.
  config = experiments.eager(tied)
  config.trainer.train_steps = 4
  config.task.objective.teacher_cache = str(tmp_path / 'cache')
  cached = experiments.train_run(
    config, str(tmp_path / 'cached'), one_device, evaluate=False
  )
  assert os.listdir(tmp_path / 'cache')
  stored, online = (read_scalars(r, 'train') for r in (cached, run))
  for tag in 'weight_tie', 'distillation', 'training_loss':
    for step in range(1, 5):
      assert stored[tag][step] == pytest.approx(online[tag][step], rel=2e-3)
  assert stored['weight_tie'][1] == pytest.approx(online['weight_tie'][1], 1e-6)


def test_only_the_tie_brings_the_student_to_its_teacher(
  tied, run, one_device, tmp_path
):
  config = experiments.eager(tied)
  config.task.objective.weight_tie = 0.0
  free = experiments.train_run(
    config, str(tmp_path), one_device, evaluate=False
  )
  assert _distance(free) > 1.5 * _distance(run)
