"""A study of two systems and two seeds that trains in seconds."""

import os
import signal

from uncertainty_distill import studies
from uncertainty_distill.training import jobs, session

import tensorflow as tf
import yaml

STUDY = {
  'title': 'Tiny',
  'experiment': 'digits_wrn10_1',
  'params_override': {
    # Eagerly: three steps take less time than their compilation.
    'trainer': {
      'train_steps': 3,
      'train_tf_function': False,
      'train_tf_while_loop': False,
    },
    'teacher': {'ensemble_size': 2},
    'task': {
      'model': {'ensemble_size': 2},
      'train_data': {'num_examples': 128},
      'validation_data': {'num_examples': 70, 'global_batch_size': 32},
    },
    'evaluation': {'corruptions': ['contrast'], 'severities': [1, 5]},
  },
  'seeds': [0, 4],
  'systems': {
    'single_network': {
      'task': {
        'model': {'ensemble_size': 1},
        'objective': {'kind': 'cross_entropy'},
      }
    },
    'head_student': {'task': {'objective': {'kind': 'head'}}},
  },
  'export': 'head_student',
}
RUNS = [
  'deep_ensemble/member_0',
  'deep_ensemble/member_1',
  'single_network/seed_0',
  'single_network/seed_4',
  'head_student/seed_0',
  'head_student/seed_4',
]


def cpu():
  """Returns a one-device strategy. The call ends all splitting of devices."""
  return tf.distribute.OneDeviceStrategy('CPU:0')


def read(path, **changes):
  """Writes the study, with changed fields, to a file and reads the file."""
  path.write_text(yaml.safe_dump(STUDY | changes, sort_keys=False))
  return studies.read_study(str(path))


class KillsProcess(jobs.TrainingJob):
  """A job that kills its own process."""

  def run(self, strategy):
    del strategy
    os.kill(os.getpid(), signal.SIGKILL)


def watch(monkeypatch, stop_before=None):
  """Returns a list that gets the seed of every run trained from now on.

  Ctrl-C comes instead of the run whose folder ends with `stop_before`.
  """
  seeds, trainer, train = [], session.Trainer, session.train

  def count(config, *args, **kwargs):
    seeds.append(config.task.seed)
    return trainer(config, *args, **kwargs)

  def stop(experiment, path, *args, **kwargs):
    if stop_before and path.endswith(stop_before):
      raise KeyboardInterrupt
    return train(experiment, path, *args, **kwargs)

  monkeypatch.setattr(session, 'Trainer', count)
  monkeypatch.setattr(session, 'train', stop)
  return seeds
