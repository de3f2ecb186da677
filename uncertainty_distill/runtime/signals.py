"""Ctrl-C and SIGTERM: the first saves what there is, a second stops at once.

A signal comes as an exception, `Stopped`, in whatever the main thread is doing.
What must not be cut in two, such as the writing of a checkpoint, is put into
`held`: the exception then comes at its end. The commands alone install this; in
a notebook Ctrl-C is Python's own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator

_WORDS = {signal.SIGINT: 'interrupted', signal.SIGTERM: 'terminated'}
# Seconds after which a signal is sent again whose exception was not raised.
_SOON = 0.01


class Stopped(KeyboardInterrupt):
  """A signal has asked this process to end.

  Attributes:
    code: What to exit with: 130 after Ctrl-C, 143 after SIGTERM.
  """

  def __init__(self, number: int = signal.SIGINT):
    super().__init__(
      f'{_WORDS[number]}: the same command goes on where this stopped'
    )
    self.code = 128 + number


class _State:
  """What is known of signals in this process.

  Attributes:
    begun: Whether there is something to save.
    received: The first signal; 0 for none yet.
    waiting: Whether it waits for the end of `held`.
    held: How many `held` are open, one in the other.
  """

  begun = False
  received = 0
  waiting = False
  held = 0


_state = _State()


def install() -> None:
  """From here on signals end this process with one line that says so.

  Until `begun` they do at once, for there is nothing to be saved.
  """
  if threading.current_thread() is not threading.main_thread():
    return
  # In a destructor or a callback of the garbage collector's, an exception would
  # be printed and forgotten.
  sys.unraisablehook = _unraisable
  for number in _WORDS:
    # A shell has what it runs in the background ignore Ctrl-C.
    if signal.getsignal(number) is not signal.SIG_IGN:
      signal.signal(number, _receive)


@contextlib.contextmanager
def begun() -> Iterator[None]:
  """Within it, the first signal is an exception; after it, each is the end."""
  _state.begun = True
  try:
    yield
  finally:
    for number in _WORDS:
      if signal.getsignal(number) is _receive:
        signal.signal(number, signal.SIG_DFL)


def check() -> None:
  """Raises `Stopped` if a signal came, and was lost.

  Some library may have caught the exception; so loops that are long ask now and
  then.
  """
  if _state.received and not _state.held:
    raise Stopped(_state.received)


def received() -> Stopped | None:
  """Returns the signal that this process is ending by, if there was one."""
  return Stopped(_state.received) if _state.received else None


@contextlib.contextmanager
def held(really: bool = True) -> Iterator[None]:
  """Within it, a first signal waits for the end.

  Args:
    really: Whether to; else this does nothing.

  Raises:
    Stopped: At the end.
  """
  _state.held += really
  try:
    yield
  finally:
    _state.held -= really
  if _state.waiting and not _state.held:
    _state.waiting = False
    raise Stopped(_state.received)


@contextlib.contextmanager
def blocked() -> Iterator[None]:
  """Within it, signals wait; processes started in it never get them.

  Such a process has to end with the one that started it.
  """
  before = signal.pthread_sigmask(signal.SIG_BLOCK, _WORDS)
  try:
    yield
  finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _receive(number: int, frame: object) -> None:
  """Handles a signal."""
  del frame
  if not _state.begun:
    _leave(number, 'before anything had begun')
  if _state.received:
    _leave(
      number,
      'twice, so at once: the same command goes on from the last checkpoint',
    )
  _state.received = number
  if _state.held:
    _state.waiting = True
  else:
    raise Stopped(number)


def _unraisable(found: sys.UnraisableHookArgs) -> None:
  """Hears of an exception that Python cannot raise where it is."""
  if not issubclass(found.exc_type, Stopped):
    sys.__unraisablehook__(found)
    return
  number, _state.received = _state.received, 0
  threading.Timer(_SOON, _send_again, [number]).start()


def _send_again(number: int) -> None:
  """Sends a signal to this process, unless it has another or has ended."""
  if not _state.received and signal.getsignal(number) is _receive:
    os.kill(os.getpid(), number)


def _leave(number: int, how: str) -> None:
  """Ends this process here and now."""
  os.write(2, f'\n{_WORDS[signal.Signals(number)]} {how}\n'.encode())
  os._exit(128 + number)
