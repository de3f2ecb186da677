"""Tests that a Hydra is trained, saved and loaded like any student."""

from uncertainty_distill import data, losses, trained, training

import numpy as np
import tensorflow as tf
import tf_keras
import tiny_runs


def _divergences(student, teacher):
  """Returns the divergence of each head, a row, from each member, a column."""
  return np.array(
    [
      [
        losses.head_distillation(q[None], p[None]).numpy().mean()
        for p in teacher
      ]
      for q in student
    ]
  )


def test_heads_learn_from_the_members_of_a_teacher(tmp_path):
  strategy = tf.distribute.OneDeviceStrategy('cpu')
  single = tiny_runs.config('task.model.ensemble_size=1')
  teacher = [
    tiny_runs.save(str(tmp_path / f'member_{i}'), single, seed=i)
    for i in range(2)
  ]
  config = tiny_runs.config(
    'task.model.ensemble_type=hydra,task.model.ensemble_size=2,'
    'task.objective.kind=head,trainer.train_steps=2,'
    'trainer.warmup_epochs=0,trainer.decay_fractions=[],'
    'task.train_data.global_batch_size=64,'
    f'task.objective.teacher=[{",".join(teacher)}]'
  )
  opened = training.open_experiment(config, strategy)
  run = training.train(opened, str(tmp_path / 'student'), evaluate=False)
  model = run.load_model()
  images = data.open_dataset('digits').train.images[:200]
  targets = trained.open_trained(tuple(teacher), 'teacher').ensemble()(images)
  tf_keras.utils.set_random_seed(config.task.seed)
  untrained = config.task.model.build()
  # In training mode, since BatchNorm's averages have hardly begun to move.
  before, after = (
    _divergences(m(images, training=True), targets) for m in (untrained, model)
  )
  change = after - before
  assert np.diag(change).max() < -0.3
  # Each head comes closer to its own member than to the other one.
  for head, other in (0, 1), (1, 0):
    assert change[head, head] < change[head, other] - 0.05
