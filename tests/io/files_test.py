"""Tests of files on a disk and in a file system of TensorFlow."""

import os
import subprocess
import sys

from uncertainty_distill.io import files

import pytest

_REMOTE = 'ram://files_test'


@pytest.fixture(params=['local', 'remote'])
def folder(request, tmp_path):
  """An empty folder."""
  if request.param == 'local':
    yield str(tmp_path)
  else:
    files.make_folder(_REMOTE)
    yield _REMOTE
    files.remove(_REMOTE)


@pytest.mark.parametrize(
  'path, start, wanted',
  [
    ('gs://b/run/../teacher/', '', 'gs://b/teacher'),
    ('../teacher/m', 'gs://b/run', 'gs://b/teacher/m'),
    ('gs://b/teacher', '/disk/run', 'gs://b/teacher'),
    ('/disk/teacher', 'gs://b/run', '/disk/teacher'),
    ('../teacher', '/disk/run', '/disk/teacher'),
  ],
)
def test_absolute(path, start, wanted):
  assert files.absolute(path, start) == wanted


@pytest.mark.parametrize(
  'path, start, wanted',
  [
    ('gs://b/a/teacher', 'gs://b/a/run', '../teacher'),
    ('gs://b/run/teacher/m', 'gs://b/run', 'teacher/m'),
    ('gs://c/a/teacher', 'gs://b/a/run', 'gs://c/a/teacher'),
    ('s3://b/a/teacher', 'gs://b/a/run', 's3://b/a/teacher'),
    ('/disk/teacher', 'gs://b/run', '/disk/teacher'),
    ('gs://b/teacher', '/disk/run', 'gs://b/teacher'),
    ('/disk/teacher', '/disk/run', '../teacher'),
  ],
)
def test_relative_leads_back(path, start, wanted):
  assert files.relative(path, start) == wanted
  assert files.absolute(wanted, start) == path


def test_parent():
  assert files.parent('gs://b/a/model/') == 'gs://b/a'
  assert files.parent('gs://b') == 'gs://b'
  assert files.parent('/disk/model') == '/disk'


def test_a_file_from_beginning_to_end(folder):
  path = f'{folder}/deep/file'
  assert not files.exists(path) and files.modified(path) == 0
  files.make_folder(f'{folder}/deep')
  files.make_folder(f'{folder}/deep')
  for text in 'first', 'zweite Größe\n':
    files.write_text(path, text)
    assert files.read_text(path) == text
  # Writing leaves no other files.
  assert files.names(f'{folder}/deep') == ['file']
  assert files.is_file(path) and not files.is_folder(path)
  assert files.is_folder(folder) and not files.is_file(folder)
  with files.open_binary(path) as file:
    file.seek(7)
    assert file.read() == 'Größe\n'.encode()
  for text in 'more\n', 'and more\n':
    with files.open_log(path) as log:
      print(text, end='', file=log)
  assert files.read_text(path).endswith('Größe\nmore\nand more\n')
  files.remove(path)
  assert not files.exists(path)
  files.remove(f'{folder}/deep')
  files.remove(f'{folder}/deep')
  assert files.names(folder) == []


def test_what_is_missing_is_not_found(folder):
  path = f'{folder}/missing'
  with pytest.raises(FileNotFoundError) as caught:
    files.read_bytes(path)
  assert caught.value.filename == path
  with pytest.raises(FileNotFoundError):
    files.names(path)


def test_a_file_system_that_is_not_there_is_an_os_error():
  with pytest.raises(OSError, match='foo') as caught:
    files.is_file('foo://bucket/file')
  assert caught.value.filename == 'foo://bucket/file'


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
  path = tmp_path / 'file'
  files.write_text(path, 'old')

  def interrupt(_):
    raise KeyboardInterrupt

  monkeypatch.setattr(os, 'fsync', interrupt)
  with pytest.raises(KeyboardInterrupt):
    files.write_text(path, 'new')
  assert path.read_text() == 'old'
  assert files.names(tmp_path) == ['file']


def test_local_files_need_no_tensorflow(tmp_path):
  code = (
    'import sys; from uncertainty_distill.io import files; '
    f'files.write_text({str(tmp_path / "file")!r}, "text"); '
    'assert "tensorflow" not in sys.modules'
  )
  subprocess.run([sys.executable, '-c', code], check=True, timeout=60)
