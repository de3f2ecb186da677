"""Runs to evaluate, and an evaluator that only records its calls."""

import shutil

from uncertainty_distill import evaluation
from uncertainty_distill.evaluation import evaluator

import experiments
import numpy as np
import pytest
import tensorflow as tf
import tiny_runs


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  """A folder with runs of two single networks and a BatchEnsemble."""
  folder = tmp_path_factory.mktemp('trained')
  single = tiny_runs.config('task.model.ensemble_size=1')
  tiny_runs.save(str(folder / 'member_0'), single, seed=1)
  tiny_runs.save(str(folder / 'member_1'), single, seed=2)
  pair = tiny_runs.config('task.model.ensemble_size=2')
  tiny_runs.save(str(folder / 'student'), pair)
  return folder


@pytest.fixture(name='paths')
def _paths(trained, tmp_path):
  """The paths of the three runs, copied for each test."""
  shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
  return [str(tmp_path / n) for n in ('member_0', 'member_1', 'student')]


@pytest.fixture(name='undrawn')
def _undrawn(monkeypatch):
  """Draws no pictures, which take most of a report's time."""
  experiments.draw_nothing(monkeypatch)


@pytest.fixture(name='evaluated')
def _evaluated(monkeypatch):
  """Replaces the evaluator; returns the labels of the models in each call."""
  calls = []

  class Evaluator:
    """An evaluator whose NLL depends only on the weights."""

    def __init__(self, candidates, batch, strategy):
      del batch, strategy
      self._candidates = candidates
      self.entropies = []

    def run(self, dataset, shifts, source, out_of_distribution, num_corrupted):
      assert num_corrupted == len(dataset.labels)
      assert source.description == 'made on the fly by formula, seed 0'
      assert out_of_distribution is None
      calls.append([candidate.label for candidate in self._candidates])
      self.entropies = [np.arange(len(dataset.labels)) for _ in calls[-1]]

      def mean(model):
        return float(tf.reduce_mean(model.trainable_weights[0]))

      metrics = dict.fromkeys(
        ('accuracy', 'ece', 'gibbs_nll', 'brier', 'member_accuracy'), 0.5
      )
      return [
        evaluation.Result(
          c.label,
          c.seed,
          shift,
          len(dataset.labels),
          {**metrics, 'nll': 100 * mean(c.network)},
          [1.0],
          [1.0],
          [1.0],
        )
        for shift in shifts
        for c in self._candidates
      ]

  monkeypatch.setattr(evaluator, 'Evaluator', Evaluator)
  return calls
