"""Tests of folders that one process at a time writes to."""

import json
import os
import signal
import socket
import subprocess
import sys

from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files, locks

import pytest

_HOLD = """
import os, sys, time
from uncertainty_distill import files, locks
with locks.hold(sys.argv[1], '--model_dir'):
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


def _hold(folder, **kwargs):
  return locks.hold(str(folder), '--model_dir', **kwargs)


def _refusal(folder):
  with pytest.raises(InputError) as refused, _hold(folder):
    pass
  return str(refused.value)


def test_a_second_process_is_refused_until_the_first_has_ended(other, tmp_path):
  said = _refusal(tmp_path)
  assert said.startswith(f"--model_dir: got '{tmp_path}', wants a folder that ")
  assert f'process {other.pid} on {socket.gethostname()} does since 2' in said
  assert 'remove' not in said
  other.communicate('')
  with _hold(tmp_path):
    assert locks.content(str(tmp_path)) == [f'.half.{other.pid}.tmp']


def test_the_lock_of_a_killed_process_is_taken_over(other, tmp_path, capsys):
  (tmp_path / 'ckpt-3_temp').mkdir()
  (tmp_path / 'ckpt-3_temp' / 'part').write_text('')
  (tmp_path / 'ckpt-3.index').write_text('')
  (tmp_path / '.other.1.tmp').write_text('')
  other.send_signal(signal.SIGKILL)
  # Not yet waited for: its number is still in the table of processes.
  os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
  with _hold(tmp_path):
    assert json.loads((tmp_path / '.lock').read_text())['pid'] == os.getpid()
    # What it has left half-written is gone, and nothing else.
    assert locks.content(str(tmp_path)) == ['.other.1.tmp', 'ckpt-3.index']
  assert capsys.readouterr().err == (
    f'{tmp_path}: taken over from process {other.pid}, which is gone.\n'
  )
  assert not (tmp_path / '.lock').exists()


def _write(folder, **changes):
  """Writes the lock that this process would, with changes."""
  with _hold(folder):
    lock = json.loads((folder / '.lock').read_text())
  (folder / '.lock').write_text(json.dumps({**lock, **changes}))


@pytest.mark.parametrize(
  'changes',
  [
    # The number is another process's now, or nobody's.
    {'started': 'long ago'},
    {'pid': 1},
    {'pid': 2**30},
  ],
)
def test_a_stale_lock_is_recognised(changes, tmp_path, capsys):
  _write(tmp_path, **changes)
  with _hold(tmp_path):
    assert 'taken over' in capsys.readouterr().err


def test_nobody_knows_of_processes_elsewhere(tmp_path):
  _write(tmp_path, host='elsewhere', pid=2**30)
  said = _refusal(tmp_path)
  assert f'process {2**30} on elsewhere' in said
  assert said.endswith(f'if that process is gone, remove {tmp_path}/.lock')
  for damaged in '', '{}', '[1]', '{"host": 1, "pid": 1}', '"text"':
    (tmp_path / '.lock').write_text(damaged)
    assert 'which cannot be read' in _refusal(tmp_path), damaged
  os.remove(tmp_path / '.lock')
  with _hold(tmp_path):
    pass


def test_a_process_may_hold_a_folder_twice(tmp_path):
  lock = tmp_path / '.lock'
  with _hold(tmp_path):
    with _hold(tmp_path / 'inner'), _hold(tmp_path):
      assert lock.exists() and (tmp_path / 'inner' / '.lock').exists()
    assert lock.exists()
  assert os.listdir(tmp_path) == []
  with _hold(tmp_path, really=False):
    assert not lock.exists()


def test_what_failed_leaves_no_folder(tmp_path):
  folder = tmp_path / 'a' / 'b'
  with pytest.raises(ValueError), _hold(folder):
    raise ValueError
  assert os.listdir(tmp_path) == []
  with pytest.raises(ValueError), _hold(folder):
    (tmp_path / 'a' / 'file').write_text('')
    raise ValueError
  assert os.listdir(tmp_path / 'a') == ['file']
  assert 'can be written' in _refusal(tmp_path / 'a' / 'file' / 'b')


def test_a_remote_folder_is_held_too():
  folder = 'ram://locks_test/run'
  path = f'{folder}/.lock'
  with _hold(folder):
    lock = json.loads(files.read_text(path))
  assert not files.exists(path)
  files.write_text(path, json.dumps({**lock, 'host': 'elsewhere'}))
  assert f'remove {path}' in _refusal(folder)
