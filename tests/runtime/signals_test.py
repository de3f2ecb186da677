"""Tests of what signals do, each in a process of its own."""

import subprocess
import sys
import textwrap

import pytest

_BEGIN = """
import os, signal, sys, time
from uncertainty_distill import interrupts

def send(number=signal.SIGTERM):
  os.kill(os.getpid(), number)
  time.sleep(0)

begin = interrupts.begun().__enter__
interrupts.install()
"""
_STOPPED = 'terminated: the same command goes on where this stopped'


def _run(code):
  done = subprocess.run(
    [sys.executable, '-c', _BEGIN + textwrap.dedent(code)],
    check=False,
    capture_output=True,
    text=True,
    timeout=60,
  )
  return done.returncode, done.stdout.split('\n')[:-1], done.stderr.strip()


@pytest.mark.parametrize(
  'name, code, word',
  [
    ('SIGTERM', 143, 'terminated'),
    ('SIGINT', 130, 'interrupted'),
  ],
)
def test_at_the_start_there_is_nothing_to_save(name, code, word):
  ended = _run(f"send(signal.{name}); print('still here')")
  assert ended == (code, [], f'{word} before anything had begun')


def test_the_first_signal_is_an_exception_the_second_the_end():
  code, said, error = _run("""
      begin()
      try:
        send()
      except KeyboardInterrupt as stopped:
        print(stopped.code, stopped)
        send(signal.SIGINT)
      print('still here')
  """)
  assert (code, said) == (130, [f'143 {_STOPPED}'])
  assert error.startswith('interrupted twice, so at once: ')


def test_what_is_held_comes_to_its_end():
  code, said, _ = _run("""
      begin()
      try:
        with interrupts.held():
          with interrupts.held():
            send()
            print('inner')
          print('outer')
        print('after')
      except KeyboardInterrupt:
        # A checkpoint is saved on the way out.
        with interrupts.held():
          print('saving')
        print('saved')
      with interrupts.held(False):
        interrupts.check()
  """)
  assert said == ['inner', 'outer', 'saving', 'saved']
  assert code == 1  # Of an exception that nobody caught.


@pytest.mark.parametrize(
  'collect',
  [
    """
    class Destructor:

      def __del__(self):
        send()

    Destructor()
    """,
    """
    import gc

    def callback(phase, info):
      gc.callbacks.remove(callback)
      send()

    gc.callbacks.append(callback)
    gc.collect()
    """,
    """
    import weakref

    gone = type('Gone', (), {})()
    reference = weakref.ref(gone, lambda _: send())
    del gone
    """,
  ],
)
def test_where_an_exception_cannot_be_raised(collect):
  ended = _run(f"""
      begin()
      try:
        exec({textwrap.dedent(collect)!r})
        time.sleep(10)
      except KeyboardInterrupt as stopped:
        print(stopped.code)
  """)
  assert ended == (0, ['143'], '')


def test_other_exceptions_there_are_printed():
  _, _, error = _run("""
      class Destructor:

        def __del__(self):
          raise ValueError('of its own')

      Destructor()
  """)
  assert 'ValueError: of its own' in error


def test_a_lost_signal_is_found():
  _, said, error = _run("""
      begin()
      try:
        send()
      except BaseException:
        print('lost')
      try:
        interrupts.check()
      except KeyboardInterrupt:
        print('found')
  """)
  assert (said, error) == (['lost', 'found'], '')


def test_what_has_ended_is_not_asked_to_end():
  code, _, error = _run("""
      with interrupts.begun():
        pass
      send()
  """)
  assert (code, error) == (-15, '')


def test_a_signal_that_the_shell_has_ignored_stays_ignored():
  _, said, _ = _run("""
      signal.signal(signal.SIGINT, signal.SIG_IGN)
      interrupts.install()
      send(signal.SIGINT)
      print('still here')
  """)
  assert said == ['still here']


def test_processes_that_are_started_blocked_get_no_signals():
  _, said, _ = _run("""
      import subprocess
      begin()
      child = (
          'import os, signal; os.kill(os.getpid(), signal.SIGTERM);'
          'os.kill(os.getpid(), signal.SIGINT); print("child lives")'
      )
      try:
        with interrupts.blocked():
          send()
          subprocess.run([sys.executable, '-c', child])
        print('still here')
      except KeyboardInterrupt as stopped:
        print(stopped.code)
  """)
  assert said == ['child lives', '143']
