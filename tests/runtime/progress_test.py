"""Tests of progress, shown as bars on a terminal and as lines in a log."""

import io
import sys

from uncertainty_distill.runtime import progress

import pytest
from absl import logging
from absl.testing import flagsaver


class _Terminal(io.StringIO):
  def isatty(self):
    return True


def _shown(stream, monkeypatch):
  """Returns what a task of four steps, one done before, writes to a stream."""
  monkeypatch.setattr(sys, 'stderr', stream)
  with progress.progress_bar(4, 'training', 'step', initial=1) as bar:
    for _ in range(3):
      bar.set_postfix(loss='0.5', refresh=False)
      bar.update()
  return stream.getvalue()


def test_a_log_gets_a_line_at_the_beginning_and_at_the_end(monkeypatch):
  first, last = _shown(io.StringIO(), monkeypatch).splitlines()
  assert first.startswith('training: 25%, 1/4 [00:00<?')
  assert last.startswith('training: 100%, 4/4 [00:00<00:00')
  assert last.endswith('step/s, loss=0.5]')


def test_a_terminal_gets_one_line_that_is_drawn_over(monkeypatch):
  said = _shown(_Terminal(), monkeypatch)
  assert said.count('\n') == 1 and said.startswith('\r')
  assert '4/4' in said


@pytest.mark.parametrize('stream', [io.StringIO, _Terminal])
def test_verbosity_of_fatal_errors_alone_shows_nothing(stream, monkeypatch):
  with flagsaver.flagsaver(verbosity=logging.FATAL):
    assert not _shown(stream(), monkeypatch)
