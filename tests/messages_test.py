"""Tests of a few whole sentences that users of the commands read.

All other tests assert the fields of errors, so that wording can be improved.
"""

import pytest
import running

_MODEL = '--experiment=digits_wrn10_1 --model_dir={new}'
_SENTENCES = {
  'distill --experiment=digits_wrn10_1': (
    '--model_dir is required: set it to a folder for the run'
  ),
  f'train {_MODEL} --seed=-1': (
    '--seed must be at least 0 and less than 2^32, not -1'
  ),
  f'train {_MODEL} stray': "'stray' is not a flag: write --name=value",
  f'train {_MODEL} --params_override=task.train_data.global_batch_size=800': (
    'task.train_data.global_batch_size must be at most the 797 training '
    'examples, not 800'
  ),
  f'distill {_MODEL} --params_override=task.objective.kind=cross_entropy': (
    "--objective must be knowledge or head, not 'cross_entropy'; without a "
    'teacher, train the model by itself'
  ),
  f'distill {_MODEL} --objective=head --ensemble_size=3': (
    '--objective head needs as many student members as teacher members, but '
    'there are 3 and 4; set --ensemble_size, or choose knowledge'
  ),
  'evaluate --run={new}': (
    "--run must be a run folder, but '{new}' does not exist"
  ),
  'export --run={new} --output_dir={new} --calibration=x.npz': (
    '--calibration has no effect without --temperature=fit or --conformal'
  ),
  'predict --model={new}': (
    'no IMAGE is given: name at least one file, folder or pattern'
  ),
}


@pytest.mark.parametrize('command', _SENTENCES)
def test_a_mistake_is_one_sentence(command, tmp_path):
  new = str(tmp_path / 'new')
  done = running.run(*command.format(new=new).split())
  sentence = _SENTENCES[command].format(new=new)
  assert (done.returncode, done.stderr) == (2, f'\nerror: {sentence}\n')
  assert not list(tmp_path.iterdir())
