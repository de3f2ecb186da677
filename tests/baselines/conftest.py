"""A student that several tests of the commands share."""

import pytest
import running


@pytest.fixture(scope='session')
def student(tmp_path_factory):
  """The folder of a head student of two members, and what distill.py said."""
  folder = tmp_path_factory.mktemp('runs') / 'student'
  done = running.succeed(
      'distill', '--experiment=digits_wrn10_1', f'--model_dir={folder}',
      '--objective=head', f'--params_override={running.SHORT}',
  )
  return folder, done.stdout
