"""Run folders of tiny models that were never trained."""

from uncertainty_distill import configs, runs, training

import tensorflow as tf
import tf_keras


def config(text=''):
  """Returns a tiny experiment on digits, with overrides."""
  overridden = configs.load_config(
    'digits_wrn10_1',
    params_override=(
      'trainer.train_steps=5,task.objective.kind=cross_entropy,'
      'task.validation_data.num_examples=70,'
      'task.validation_data.global_batch_size=32,'
      'evaluation.corruptions=[contrast],evaluation.severities=[1]'
    ),
  )
  configs.override_by_text(overridden, text)
  return training.resolve(overridden)


def save(path, config, step=5, seed=0):
  """Writes a run folder with random weights; returns its path."""
  run = runs.claim_run(path, config)
  tf_keras.utils.set_random_seed(seed)
  model = config.task.model.build()
  tf.train.CheckpointManager(
    tf.train.Checkpoint(model=model), run.path, max_to_keep=1
  ).save(checkpoint_number=step)
  return run.path
