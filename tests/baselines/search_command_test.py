"""Tests the search for a teacher by the public command, as a user runs it."""

import json

import pytest
import running

_SHORT = running.EAGER + (
  'trainer.train_steps=4,teacher.search.num_runs=3,teacher.ensemble_size=2,'
  'task.model.ensemble_size=2,task.validation_data.num_examples=70,'
  'task.validation_data.global_batch_size=35,'
  'evaluation.corruptions=[contrast],evaluation.severities=[5]'
)


@pytest.mark.slow
def test_distill_searches_and_teaches(tmp_path):
  folder = tmp_path / 'student'
  done = running.succeed(
    'distill',
    '--experiment=digits_wrn10_1',
    f'--model_dir={folder}',
    '--objective=head',
    '--mode=train',
    f'--params_override={_SHORT}',
  )
  for index in 1, 2, 3:
    assert f'search run {index} of 3: 100%' in done.stderr
  record = json.loads((folder / 'teacher' / 'search.json').read_text())
  # 5% of the 797 digits are held out.
  assert record['examples'] == {'training': 757, 'held_out': 40}
  chosen = [member['folder'] for member in record['members']]
  assert any(
    all(name in line for name in chosen) for line in done.stderr.splitlines()
  )
  params = (folder / 'params.yaml').read_text()
  for name in chosen:
    assert f'- teacher/{name}\n' in params
  assert (folder / 'saved_model' / 'saved_model.pb').is_file()
