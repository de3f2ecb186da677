"""Tests of the values that the runs of a search draw."""

import math

from uncertainty_distill import configs, data

import numpy as np
import pytest


def _default(text='', experiment='digits_wrn10_1'):
  config = configs.load_config(
    experiment, params_override='teacher.search.num_runs=300'
  )
  configs.override_by_text(config, text)
  run = configs.default_run(config)
  return configs.resolve(run, data.open_configured(config.task.train_data))


def _runs(default, count, num_examples=757):
  return [configs.search_run(default, i, num_examples) for i in range(count)]


def test_run_0_has_the_teachers_ordinary_values():
  config = configs.load_config(
    'digits_wrn10_1',
    params_override=(
      'task.block_l2=[1,2,3,4,5,6],task.objective.label_smoothing=0.03,'
      'task.seed=4,task.train_data.held_out_fraction=0.01'
    ),
  )
  run = configs.search_run(configs.default_run(config), 0, 757)
  member = configs.member_config(config)
  assert run.task.train_data.held_out_fraction == 0.05
  run.task.train_data.held_out_fraction = 0.01
  assert run == member
  assert (run.task.l2, run.task.block_l2) == (config.teacher.l2, ())
  assert run.task.objective.label_smoothing == 0.03


def test_draws_are_log_uniform_and_independent():
  runs = _runs(_default(), 300)[1:]
  draws = np.array(
    [
      [
        *(757 * l2 for l2 in run.task.block_l2),
        run.task.objective.label_smoothing,
      ]
      for run in runs
    ]
  )
  bounds = np.log([[1e-2, 1e2]] * 6 + [[1e-5, 0.2]])
  places = (np.log(draws) - bounds[:, 0]) / (bounds[:, 1] - bounds[:, 0])
  assert places.shape == (299, 7)
  assert places.min() >= -1e-6 and places.max() <= 1 + 1e-6
  # A uniform variable has a mean of 1/2 and a variance of 1/12. Each tenth of
  # its range holds 29.9 of 299 draws, with a standard deviation of 5.2.
  np.testing.assert_allclose(places.mean(0), 0.5, atol=0.06)
  np.testing.assert_allclose(places.var(0), 1 / 12, atol=0.015)
  for column in places.T:
    counts, _ = np.histogram(column, 10, (0, 1))
    assert counts.min() > 10 and counts.max() < 52
  correlations = np.corrcoef(places.T) - np.eye(7)
  assert np.abs(correlations).max() < 0.25


def test_a_longer_search_begins_with_the_shorter_one():
  short, long = (_default(f'teacher.search.num_runs={n}') for n in (50, 100))
  for run, other in zip(_runs(short, 50), _runs(long, 50), strict=True):
    assert run.task == other.task
  seeds = {run.task.seed for run in _runs(long, 100)}
  assert len(seeds) == 100
  draws = {run.task.block_l2 for run in _runs(long, 100)}
  assert len(draws) == 100
  other = _runs(_default('task.seed=1'), 100)
  assert not draws & {run.task.block_l2 for run in other[1:]}
  assert not seeds & {run.task.seed for run in other}


def test_l2_is_divided_by_the_examples_in_use():
  default = _default()
  few, many = (configs.search_run(default, 7, n).task for n in (100, 47500))
  np.testing.assert_allclose(
    np.array(few.block_l2) * 100, np.array(many.block_l2) * 47500, rtol=1e-5
  )
  assert few.objective == many.objective


@pytest.mark.parametrize(
  'experiment, largest',
  [('cifar10_wrn28_10', 0.2), ('cifar100_wrn28_10', 2e-5)],
)
def test_published_ranges(experiment, largest):
  default = _default(experiment=experiment)
  search = default.teacher.search
  assert search.l2_range == (1e-2, 1e2)
  assert search.label_smoothing_range == (1e-5, largest)
  # 92 batches of 512 in 47,500 examples.
  assert default.trainer.train_steps == 200 * 92
  assert default.task.train_data.num_held_out(50_000) == 2_500
  run = configs.search_run(default, 1, 47_500).task
  for l2 in run.block_l2:
    assert 1e-2 / 47_500 <= l2 <= 1e2 / 47_500
  assert 1e-5 <= run.objective.label_smoothing <= largest
  assert math.log10(max(run.block_l2) / min(run.block_l2)) > 0.1
