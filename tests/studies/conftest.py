"""A finished study that several tests share."""

from uncertainty_distill import studies

import experiments
import pytest
import tiny_study


@pytest.fixture(name='undrawn')
def _undrawn(monkeypatch):
  """Draws no pictures, which take most of a report's time."""
  experiments.draw_nothing(monkeypatch)


@pytest.fixture(name='done', scope='session')
def _done(tmp_path_factory):
  """A study stopped once, its outcome, and the seeds that each call trained."""
  folder = tmp_path_factory.mktemp('study')
  study = tiny_study.read(folder / 'study.yaml')
  output = str(folder / 'output')
  with pytest.MonkeyPatch.context() as patched:
    first = tiny_study.watch(patched, stop_before='single_network/seed_4')
    with pytest.raises(KeyboardInterrupt):
      studies.run_study(study, output, tiny_study.cpu())
  with pytest.MonkeyPatch.context() as patched:
    experiments.draw_nothing(patched)
    second = tiny_study.watch(patched)
    outcome = studies.run_study(study, output, tiny_study.cpu())
  return study, outcome, [first, second]
