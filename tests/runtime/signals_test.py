"""Tests of what signals do, each in a separate process."""

import subprocess
import sys
import textwrap

import pytest

_BEGIN = """
import os, signal, sys, time
from uncertainty_distill.runtime import signals

def send(number=signal.SIGTERM):
  os.kill(os.getpid(), number)
  time.sleep(0)

"""


def _run(code, install='signals.install()\n'):
  """Runs code; returns its exit code, the lines printed, and the errors."""
  done = subprocess.run(
    [sys.executable, '-c', _BEGIN + install + textwrap.dedent(code)],
    check=False,
    capture_output=True,
    text=True,
    timeout=120,
  )
  return done.returncode, done.stdout.split('\n')[:-1], done.stderr.strip()


@pytest.mark.parametrize(
  'name, code, word',
  [
    ('SIGTERM', 143, 'terminated'),
    ('SIGINT', 130, 'interrupted'),
  ],
)
def test_outside_loops_the_first_ends_with_one_line(name, code, word):
  ended, printed, error = _run(f"""
      signals.install(lambda: print('cleaned up', flush=True))
      with signals.defer():
        pass
      send(signal.{name})
      print('still here', flush=True)
  """)
  assert (ended, printed) == (code, ['cleaned up'])
  assert word in error and error.count('\n') == 0


def test_a_loop_is_stopped_where_it_checks():
  ended, printed, error = _run("""
      try:
        with signals.defer():
          for turn in range(5):
            if turn == 2:
              send()
            print(turn)
            signals.check()
      except KeyboardInterrupt as stopped:
        print(stopped.code, signals.received().code)
  """)
  assert (ended, printed, error) == (0, ['0', '1', '2', '143 143'], '')


def test_what_is_deferred_is_stopped_at_its_end():
  _, printed, error = _run("""
      try:
        with signals.defer():
          with signals.defer():
            send()
            print('inner')
          print('outer')
      except KeyboardInterrupt:
        print('stopped')
  """)
  assert (printed, error) == (['inner', 'stopped'], '')


def test_another_error_is_not_replaced():
  _, printed, _ = _run("""
      try:
        with signals.defer():
          send()
          raise ValueError('of its own')
      except ValueError as error:
        print(error, signals.received().code)
  """)
  assert printed == ['of its own 143']


_LAST_WORDS = """
print('saving', flush=True)
while True:
  time.sleep(1)
"""
# TensorFlow waits in C++ for an element, and Python waits for TensorFlow.
_LONG_CALL = """
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
import tensorflow as tf
queue = tf.queue.FIFOQueue(1, tf.float32)
print('waiting', flush=True)
queue.dequeue()
"""


def _interrupt(code, *numbers):
  """Runs code that prints a line, and then sends signals, a while apart."""
  with subprocess.Popen(
    [sys.executable, '-c', f'{_BEGIN}signals.install()\n{code}'],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  ) as process:
    try:
      assert process.stdout.readline()
      process.send_signal(numbers[0])
      for number in numbers[1:]:
        with pytest.raises(subprocess.TimeoutExpired):
          process.wait(2)
        process.send_signal(number)
      error = process.communicate(timeout=5)[1]
    finally:
      process.kill()
  assert error.strip().count('\n') == 0
  return process.returncode


@pytest.mark.parametrize('code', [_LAST_WORDS, _LONG_CALL])
def test_a_second_one_ends_at_once(code):
  body = textwrap.indent(code, '  ')
  assert _interrupt(f'with signals.defer():\n{body}', 15, 2) == 130


def test_repeats_may_be_ignored():
  code = """
signals.ignore_repeats()
try:
  with signals.defer():
    print('saving', flush=True)
    time.sleep(4)
except KeyboardInterrupt as stopped:
  sys.exit(stopped.code)
"""
  assert _interrupt(code, 15, 15) == 143


def test_the_first_ends_a_long_call_that_is_in_no_loop():
  assert _interrupt(_LONG_CALL, 15) == 143


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
  ],
)
def test_a_signal_while_python_collects_garbage_is_noted(collect):
  ended = _run(f"""
      try:
        with signals.defer():
          exec({textwrap.dedent(collect)!r})
      except KeyboardInterrupt as stopped:
        print(stopped.code)
  """)
  assert ended == (0, ['143'], '')


def test_a_signal_that_the_shell_has_ignored_stays_ignored():
  _, printed, _ = _run(
    """
      signals.install()
      send(signal.SIGINT)
      print('still here')
    """,
    install='signal.signal(signal.SIGINT, signal.SIG_IGN)\n',
  )
  assert printed == ['still here']


def test_processes_that_are_started_blocked_get_no_signals():
  _, printed, _ = _run("""
      import subprocess
      child = (
          'import os, signal; os.kill(os.getpid(), signal.SIGTERM);'
          'os.kill(os.getpid(), signal.SIGINT); print("child lives")'
      )
      try:
        with signals.defer():
          with signals.block():
            send()
            subprocess.run([sys.executable, '-c', child])
          print('still here')
      except KeyboardInterrupt as stopped:
        print(stopped.code)
  """)
  assert printed == ['child lives', 'still here', '143']


def test_a_forked_process_knows_nothing_of_it():
  _, printed, error = _run("""
      with signals.defer():
        child = os.fork()
        if not child:
          send()
          os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        time.sleep(0.1)
        signals.check()
      if not os.fork():
        signals.install()
        send(signal.SIGINT)
      print(os.waitstatus_to_exitcode(os.wait()[1]))
  """)
  assert printed == ['-15', '130']
  assert error.count('\n') == 0


def test_where_nothing_is_installed_ctrl_c_is_python_s_own():
  _, printed, error = _run(
    """
      import threading
      signal.signal(signal.SIGINT, signal.default_int_handler)
      thread = threading.Thread(target=signals.install)
      thread.start()
      thread.join()
      try:
        with signals.defer():
          send(signal.SIGINT)
      except KeyboardInterrupt as interrupt:
        print(type(interrupt).__name__, signals.received())
    """,
    install='',
  )
  assert (printed, error) == (['KeyboardInterrupt None'], '')
