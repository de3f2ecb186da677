"""Compares the scheduler, on a simulated clock, with the ideal."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / 'benchmarks'))
import cluster


@pytest.mark.parametrize(
  'machines, quiet, preempted',
  [(8, 1.05, 1.25), (32, 1.08, 1.35), (128, 1.05, 1.5)],
)
def test_a_study_of_234_runs_comes_near_the_ideal(machines, quiet, preempted):
  assert len(cluster.jobs()) == 234
  seconds, ideal, lost = cluster.makespan(
    machines, preemption_interval=float('inf')
  )
  assert not lost and 1 <= seconds / ideal < quiet
  seconds, _, lost = cluster.makespan(machines)
  # A machine is lost once per hour of training; there are 256 hours.
  assert 200 < lost < 350
  assert 1 <= seconds / ideal < preempted
