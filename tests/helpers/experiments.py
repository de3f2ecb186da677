"""Trains and evaluates configurations as the commands do."""

import copy

from uncertainty_distill import configs, plots, reports, training
from uncertainty_distill.io import files
from uncertainty_distill.reports import pictures
from uncertainty_distill.training import session

import running
import tensorflow as tf


def eager(config):
  """Returns a copy that trains eagerly: a few steps cost less than a graph."""
  config = copy.deepcopy(config)
  configs.override_by_text(config, running.EAGER.rstrip(','))
  return config


def changed(config, text):
  """Returns a copy with overrides, resolved anew."""
  config = copy.deepcopy(config)
  configs.override_by_text(config, text)
  return training.resolve(config)


def curves(config, path, strategy, read_scalars):
  """Trains eagerly; returns the scalars of training by `read_scalars`."""
  run = train_run(eager(config), str(path), strategy, evaluate=False)
  return read_scalars(run, 'train')


def opened(config, strategy=None):
  """Opens a configuration's experiment, by default on TensorFlow's devices."""
  return training.open_experiment(
    config, strategy or tf.distribute.get_strategy()
  )


def task(config, **kwargs):
  """Returns the task of a configuration."""
  return training.ClassificationTask(opened(config), **kwargs)


def train_run(config, path, strategy, *args, **kwargs):
  """Trains one run, whose teacher already exists, without further checks."""
  return session.train(opened(config, strategy), path, *args, **kwargs)


def train(config, path, strategy, *args, **kwargs):
  """Trains without a teacher."""
  config = copy.deepcopy(config)
  config.task.objective.kind = 'cross_entropy'
  return training.train(opened(config, strategy), path, *args, **kwargs)


def distill(config, path, strategy, *args, **kwargs):
  """Trains a student, and its teacher if none is given."""
  return training.distill(opened(config, strategy), path, *args, **kwargs)


def train_teacher(config, path, strategy, *args, **kwargs):
  """Trains a teacher."""
  return training.train_teacher(opened(config, strategy), path, *args, **kwargs)


def assess(systems, config, strategy, *args, **kwargs):
  """Evaluates systems and writes their report."""
  return reports.assess(systems, opened(config, strategy), *args, **kwargs)


def draw_nothing(monkeypatch):
  """Draws no pictures, which take most of a report's time."""
  monkeypatch.setattr(pictures, 'available_pictures', lambda results: [])
  monkeypatch.setattr(
    plots, 'save', lambda figure, path: files.write_bytes(path, b'')
  )
