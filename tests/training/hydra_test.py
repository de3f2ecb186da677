"""Tests that a Hydra is trained, saved and loaded like any student."""

from uncertainty_distill import training

import numpy as np
import tensorflow as tf
import tiny_runs


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
    'task.train_data.global_batch_size=16,'
    f'task.objective.teacher=[{",".join(teacher)}]'
  )
  opened = training.open_experiment(config, strategy)
  run = training.train(opened, str(tmp_path / 'student'), evaluate=False)
  model = run.load_model()
  images = np.zeros((3, 16, 16, 3), np.uint8)
  logits = model(images, training=False).numpy()
  assert logits.shape == (2, 3, 10) and np.isfinite(logits).all()
