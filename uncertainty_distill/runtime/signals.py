"""Ctrl-C and SIGTERM: the first ends in good order, a second at once.

Loops that have something to save run within `defer`. There the first signal is
only noted, and the loop's next `check` raises `Stopped`. Elsewhere the first
signal ends the process with one line. A second signal always ends the process,
even in a long call of TensorFlow. Python runs a handler only when such a call
returns, but it writes the signal's number to a pipe at once, and a thread
watches this pipe. Outside `defer`, the thread ends a process in such a call at
the first signal.

Only the commands install this; in a notebook Python itself handles Ctrl-C.
"""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator

_WORDS: dict[int, str] = {
  signal.SIGINT: 'interrupted',
  signal.SIGTERM: 'terminated',
}


# Seconds after which Python is assumed to be in a long call.
_PATIENCE = 1.0


class Stopped(KeyboardInterrupt):
  """A signal has asked this process to end.

  Attributes:
    code: The exit code: 130 after Ctrl-C, 143 after SIGTERM.
  """

  def __init__(self, number: int):
    super().__init__(
      f'{_WORDS[number]}: the same command continues from where it stopped'
    )
    self.code: int = 128 + number


@dataclasses.dataclass
class _State:
  """What is known about signals in this process.

  Attributes:
    installed: Whether this module handles signals.
    received: The number of the first signal; 0 before it.
    deferrals: How many `defer` contexts are open.
    clean_up: The function that `install` was given.
    leaves_at_once: Whether a second signal ends the process at once.
  """

  installed: bool = False
  received: int = 0
  deferrals: int = 0
  clean_up: Callable[[], None] | None = None
  leaves_at_once: bool = True


_state = _State()
_leaving = threading.Lock()


def install(clean_up: Callable[[], None] | None = None) -> None:
  """Makes signals end this process in good order from here on.

  A signal that the process ignores stays ignored, since a shell makes its
  background jobs ignore Ctrl-C. Outside the main thread this does nothing.

  Args:
    clean_up: A function that is called before a first signal ends the process
      outside `defer`. By default the function of an earlier call, if any.
  """
  if threading.current_thread() is not threading.main_thread():
    return
  _state.clean_up = clean_up or _state.clean_up
  if _state.installed:
    return
  _state.installed = True
  reader, writer = os.pipe()
  os.set_blocking(writer, False)
  signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
  threading.Thread(target=_watch, args=[reader], daemon=True).start()
  for number in _WORDS:
    if signal.getsignal(number) is not signal.SIG_IGN:
      signal.signal(number, _receive)


@contextlib.contextmanager
def defer() -> Iterator[None]:
  """Makes a first signal wait for the next `check`, or for the context's end.

  Raises:
    Stopped: At the end, if a signal came and no exception is being raised.
  """
  _state.deferrals += 1
  try:
    yield
  finally:
    _state.deferrals -= 1
  check()


def check() -> None:
  """Raises `Stopped` if there was a signal; long loops call it at each turn."""
  if _state.received:
    raise Stopped(_state.received)


def received() -> Stopped | None:
  """Returns the signal that is ending this process, if there was one."""
  return Stopped(_state.received) if _state.received else None


@contextlib.contextmanager
def block() -> Iterator[None]:
  """Makes signals wait for the context's end.

  Processes that are started within the context get no signals unless they call
  `unblock`. They must call `end_with_parent`.
  """
  before = signal.pthread_sigmask(signal.SIG_BLOCK, _WORDS)
  try:
    yield
  finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unblock() -> None:
  """Lets signals reach a process that was started within `block`."""
  signal.pthread_sigmask(signal.SIG_UNBLOCK, _WORDS)


def ignore_repeats() -> None:
  """Makes a second signal no reason to end at once, before all is saved.

  This is for processes that are also signaled by the one that started them. If
  all are terminated, each gets two signals.
  """
  _state.leaves_at_once = False


def end_with_parent() -> None:
  """Ends this process once the one that started it has ended, even if killed.

  This process must have been started by `multiprocessing`.
  """

  def wait():
    multiprocessing.parent_process().join()  # pyright: ignore[reportOptionalMemberAccess]
    os._exit(1)

  threading.Thread(target=wait, daemon=True).start()


@contextlib.contextmanager
def restore_defaults() -> Iterator[None]:
  """Makes signals end the process at once, without a line.

  This is for calls of C++ during which no thread of Python can run.
  """
  handled = [n for n in _WORDS if signal.getsignal(n) is _receive]
  for number in handled:
    signal.signal(number, signal.SIG_DFL)
  try:
    yield
  finally:
    for number in handled:
      signal.signal(number, _receive)


def _receive(number: int, frame: object) -> None:
  """Handles a signal, in the main thread and between two Python operations."""
  del frame
  if _state.received:
    if _state.leaves_at_once:
      _leave_at_once(number)
    return
  _state.received = number
  if not _state.deferrals:
    _end(number)


def _watch(reader: int) -> None:
  """Ends the process at the second signal, or at one that nothing handles."""
  count = 0
  while True:
    for number in os.read(reader, 64):
      if number in _WORDS:
        count += 1
        if count > 1 and _state.leaves_at_once:
          _leave_at_once(number)
        threading.Timer(_PATIENCE, _end_unhandled, [number]).start()


def _end_unhandled(number: int) -> None:
  """Ends the process if it is in a long call of C++, outside of `defer`."""
  if not _state.received and not _state.deferrals:
    _end(number)


def _end(number: int) -> None:
  """Ends this process in good order."""
  if _state.clean_up:
    _state.clean_up()
  _leave(number, str(Stopped(number)))


def _leave_at_once(number: int) -> None:
  _leave(
    number,
    f'{_WORDS[number]} again and stopped at once: the same command continues '
    'from the last checkpoint',
  )


def _leave(number: int, message: str) -> None:
  """Ends this process at once, unless another thread is already doing so."""
  if _leaving.acquire(blocking=False):
    os.write(2, f'\n{message}\n'.encode())
    os._exit(128 + number)


def _forget() -> None:
  """Makes a forked process forget the signals and handlers of its parent."""
  if _state.installed:
    # The pipe and the clean-up belong to the parent.
    signal.set_wakeup_fd(-1)
    for number in _WORDS:
      if signal.getsignal(number) is _receive:
        signal.signal(number, signal.SIG_DFL)
  _state.__init__()


os.register_at_fork(after_in_child=_forget)
