"""Tests that one process at a time writes to a folder."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading

from uncertainty_distill.io import files, locks

import pytest
import refusals

_HOLD = """
import os, sys
from uncertainty_distill.io import locks
with locks.lock_folder(sys.argv[1], 'model_dir'):
  open(os.path.join(sys.argv[1], f'.half.{os.getpid()}.tmp'), 'w').close()
  print('held', flush=True)
  sys.stdin.read()
"""


@pytest.fixture(name='other')
def _other(tmp_path):
  """Another process that holds the folder."""
  process = subprocess.Popen(
    [sys.executable, '-c', _HOLD, str(tmp_path)],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  )
  assert process.stdout.readline() == 'held\n'
  yield process
  process.kill()
  process.communicate()


def _lock(folder, **kwargs):
  return locks.lock_folder(str(folder), 'model_dir', **kwargs)


def _hint(folder):
  """Returns what a refusal says about the process that holds a folder."""
  with refusals.refused('model_dir', str(folder)) as caught, _lock(folder):
    pass
  return caught.value.hint


def test_a_second_process_is_refused_until_the_first_has_ended(other, tmp_path):
  hint = _hint(tmp_path)
  assert str(other.pid) in hint and socket.gethostname() in hint
  other.communicate('')
  with _lock(tmp_path):
    assert locks.content(str(tmp_path)) == [f'.half.{other.pid}.tmp']
  # Neither lock has left any file of its own.
  assert os.listdir(tmp_path) == [f'.half.{other.pid}.tmp']


def test_the_lock_of_a_killed_process_is_gone(other, tmp_path, caplog):
  (tmp_path / 'ckpt-3_temp').mkdir()
  (tmp_path / 'ckpt-3_temp' / 'part').write_text('')
  (tmp_path / 'ckpt-3.index').write_text('')
  (tmp_path / '.other.1.tmp').write_text('')
  other.send_signal(signal.SIGKILL)
  # It is a zombie: its number is still in the table of processes.
  os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
  with _lock(tmp_path):
    holder = json.loads((tmp_path / '.lock.json').read_text())
    assert holder['pid'] == os.getpid()
    # The files that it left half-written are gone, and no others.
    assert locks.content(str(tmp_path)) == ['.other.1.tmp', 'ckpt-3.index']
  assert str(other.pid) in caplog.text
  assert not (tmp_path / '.lock').exists()


@pytest.mark.parametrize(
  'left', ['', 'Process 7 on elsewhere', '[1]', '{"host": "elsewhere"}']
)
def test_files_of_older_locks_are_in_nobody_s_way(left, tmp_path):
  (tmp_path / '.lock').write_text(left)
  with _lock(tmp_path):
    pass
  assert not os.listdir(tmp_path)


def test_what_an_older_version_left_half_written_is_removed(tmp_path):
  holder = {'host': 'h', 'pid': 2**30, 'started': '', 'since': '2024'}
  (tmp_path / '.lock').write_text(json.dumps(holder))
  (tmp_path / f'.half.{2**30}.tmp').write_text('')
  with _lock(tmp_path):
    assert not locks.content(str(tmp_path))


def test_a_thread_may_lock_a_folder_twice_and_another_may_not(tmp_path):
  refused = []

  def lock():
    refused.append(_hint(tmp_path))

  with _lock(tmp_path):
    with _lock(tmp_path / 'inner'), _lock(tmp_path):
      assert (tmp_path / 'inner' / '.lock').exists()
    assert (tmp_path / '.lock').exists()
    thread = threading.Thread(target=lock)
    thread.start()
    thread.join()
  assert str(os.getpid()) in refused[0]
  assert os.listdir(tmp_path) == []
  with _lock(tmp_path, enabled=False):
    assert not (tmp_path / '.lock').exists()


def test_one_that_waits_comes_next(other, tmp_path, caplog):
  locked = threading.Event()

  def wait():
    with _lock(tmp_path, wait=True):
      locked.set()

  thread = threading.Thread(target=wait)
  thread.start()
  assert not locked.wait(0.5)
  other.communicate('')
  thread.join(20)
  assert locked.is_set()
  assert str(other.pid) in caplog.text


def test_what_failed_leaves_no_folder(tmp_path):
  folder = tmp_path / 'a' / 'b'
  with pytest.raises(ValueError), _lock(folder):
    raise ValueError
  assert os.listdir(tmp_path) == []
  with pytest.raises(ValueError), _lock(folder):
    (tmp_path / 'a' / 'file').write_text('')
    raise ValueError
  assert os.listdir(tmp_path / 'a') == ['file']
  _hint(tmp_path / 'a' / 'file' / 'b')


def test_a_lock_that_cannot_be_described_is_released(tmp_path, monkeypatch):
  def full(path, text):
    raise OSError(errno.ENOSPC, 'No space left on device')

  folder = tmp_path / 'new'
  with monkeypatch.context() as patch:
    patch.setattr(files, 'write_text', full)
    with refusals.refused('model_dir', str(folder), 'written'), _lock(folder):
      pass
  assert os.listdir(tmp_path) == []
  with _lock(folder):
    pass


def test_a_process_that_is_ending_takes_its_locks_away(tmp_path):
  with _lock(tmp_path / 'new'), _lock(tmp_path):
    (tmp_path / f'.half.{os.getpid()}.tmp').write_text('')
    locks.remove_all()
    assert os.listdir(tmp_path) == []


def test_a_remote_folder_is_held_too():
  folder = 'ram://locks_test/run'
  path = f'{folder}/.lock'
  refused = []
  with _lock(folder), _lock(folder):
    holder = json.loads(files.read_text(path))
    thread = threading.Thread(target=lambda: refused.append(_hint(folder)))
    thread.start()
    thread.join()
  assert str(os.getpid()) in refused[0]
  assert not files.exists(path)
  files.write_text(path, json.dumps({**holder, 'host': 'elsewhere'}))
  assert path in _hint(folder) and 'elsewhere' in _hint(folder)
  # A process that is running.
  files.write_text(path, json.dumps({**holder, 'pid': os.getppid()}))
  assert str(os.getppid()) in _hint(folder)
  for damaged in '', '{}', '[1]', '{"host": 1, "pid": 1}', '"text"':
    files.write_text(path, damaged)
    assert path in _hint(folder), damaged
  # A process that has ended, and an earlier one with this process's number.
  for pid in 2**30, os.getpid():
    files.write_text(path, json.dumps({**holder, 'pid': pid}))
    with _lock(folder):
      assert json.loads(files.read_text(path))['pid'] == os.getpid()
