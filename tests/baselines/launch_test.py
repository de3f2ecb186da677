"""What the commands have in common: their flags and their help."""

import pytest
import running


@pytest.mark.parametrize(
  'name, flag',
  [
    ('distill', '--teacher_cache'),
    ('evaluate', '--run'),
    ('export', '--tflite'),
    ('make_corrupted', '--processes'),
    ('predict', '--[no]json'),
    ('reconstruct', '--ranks'),
    ('reproduce', '--[no]dry_run'),
    ('train', '--model_dir'),
  ],
)
def test_help_lists_the_flags_and_succeeds(name, flag):
  done = running.run(name, '--help')
  assert (done.returncode, done.stderr) == (0, '')
  assert f'\n  {flag}: ' in done.stdout


def test_flags_may_follow_images(tmp_path):
  done = running.run('predict', 'a.png', '--model', tmp_path, '--json')
  assert done.returncode == 2 and '--model' in done.stderr
  assert str(tmp_path) in done.stderr
