"""The study that several tests look at."""

from uncertainty_distill import studies
from uncertainty_distill.reports import pictures

import pytest
import tiny_study


def _leave_out_pictures(monkeypatch):
  monkeypatch.setattr(pictures, 'available_pictures', lambda results: [])


@pytest.fixture(autouse=True)
def _undrawn(monkeypatch):
  """Leaves out the pictures of results, which take the time of a report."""
  _leave_out_pictures(monkeypatch)


@pytest.fixture(name='done', scope='session')
def _done(tmp_path_factory):
  """A study that was stopped once: folder, outcome, what each call trained."""
  folder = tmp_path_factory.mktemp('study')
  study = tiny_study.read(folder / 'study.yaml')
  output = str(folder / 'output')
  with pytest.MonkeyPatch.context() as patched:
    first = tiny_study.watch(patched, stop_before='single_network/seed_4')
    with pytest.raises(KeyboardInterrupt):
      studies.run_study(study, output, tiny_study.cpu())
  with pytest.MonkeyPatch.context() as patched:
    _leave_out_pictures(patched)
    second = tiny_study.watch(patched)
    outcome = studies.run_study(study, output, tiny_study.cpu())
  return study, outcome, [first, second]
