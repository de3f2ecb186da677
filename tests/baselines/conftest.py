"""A student that several tests of the commands share."""

import shutil

import pytest
import running


@pytest.fixture(scope='session')
def student(tmp_path_factory):
  """The folder of a head student of two members, and distill.py's output."""
  folder = tmp_path_factory.mktemp('runs') / 'student'
  done = running.succeed(
    'distill',
    '--experiment=digits_wrn10_1',
    f'--model_dir={folder}',
    '--objective=head',
    f'--params_override={running.SHORT}',
  )
  shutil.copytree(folder, folder.with_name('untouched'))
  return folder, done.stdout


@pytest.fixture(scope='session')
def untouched(student):
  """A copy of the student's folder, made before tests evaluate the student."""
  return student[0].with_name('untouched')


@pytest.fixture(scope='module')
def places(student, tmp_path_factory):
  """Paths for calls of commands; no path that begins with `new` exists."""
  folder, _ = student
  members = [str(folder / 'teacher' / f'member_{i}') for i in range(2)]
  tmp = tmp_path_factory.mktemp('places')
  return {
    'old': folder,
    'new': tmp / 'new',
    'tmp': tmp,
    'short': running.SHORT,
    'member': members[0],
    'members': ','.join(members),
  }
