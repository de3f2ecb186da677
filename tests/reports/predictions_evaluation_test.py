"""Tests of reports on a student whose teacher is stored predictions."""

from uncertainty_distill import (
  configs,
  data,
  evaluation,
  runs,
  training,
)
from uncertainty_distill.errors import InputError
from uncertainty_distill.evaluation import evaluator, prediction_scores

import experiments
import numpy as np
import pytest
import tensorflow as tf

_CPU = tf.distribute.OneDeviceStrategy('CPU:0')

# report_test.py tests the pictures.
pytestmark = pytest.mark.usefixtures('undrawn')
_TEXT = (
  'trainer.train_steps=5,task.model.ensemble_size=2,'
  'task.validation_data.num_examples=70,'
  'task.validation_data.global_batch_size=35,'
  'evaluation.corruptions=[contrast],evaluation.severities=[1]'
)


def _config(text=''):
  config = configs.load_config('digits_wrn10_1', params_override=_TEXT + text)
  return training.resolve(config)


@pytest.fixture(name='student')
def _student(tmp_path):
  """A run folder with random weights."""
  config = _config()
  run = runs.claim_run(str(tmp_path / 'student'), config)
  model = config.task.model.build()
  tf.train.CheckpointManager(
    tf.train.Checkpoint(model=model), run.path, max_to_keep=1
  ).save(checkpoint_number=5)
  return evaluation.System('knowledge_student', 0, (run.path,))


def _predictions(path, splits, turned=0):
  """Writes predictions that are right for all but the first 7 examples."""
  arrays = {}
  for split in splits:
    labels = getattr(data.open_dataset('digits'), split).labels
    probs = np.full([3, len(labels), 10], 0.01)
    shown = (labels + (np.arange(len(labels)) < 7)) % 10
    probs[:, np.arange(len(labels)), shown] = 0.91
    arrays[f'{split}_probs'] = probs
    arrays[f'{split}_labels'] = np.roll(labels, turned)
  np.savez(path, **arrays)
  return evaluation.System('deep_ensemble', None, (str(path),))


def test_the_teacher_is_scored_on_clean_images(student, tmp_path, monkeypatch):
  systems = [_predictions(tmp_path / 'a.npz', ['train', 'test']), student]
  directory = tmp_path / 'report'

  def assess():
    return experiments.assess(systems, _config(), _CPU, str(directory), 'Title')

  table = assess()
  teacher, taught = [line.split('|')[1:-1] for line in table.split('\n')[2:]]
  nll = -(63 * np.log(0.91) + 7 * np.log(0.01)) / 70
  # Label, members, parameters; accuracy, ECE, NLL and Gibbs NLL on clean
  # images; accuracy, ECE and NLL on corrupted images.
  assert [cell.strip() for cell in teacher] == [
    'Deep ensemble',
    '3',
    '-',
    '0.900',
    '0.010',
    f'{nll:.3f}',
    f'{nll:.3f}',
    '-',
    '-',
    '-',
  ]
  assert taught[0].strip() == 'Knowledge student' and '-' not in ''.join(taught)
  results, _ = evaluation.read_json(directory / 'results.json')
  assert [(r.model, r.shift.label, r.num_examples) for r in results] == [
    ('deep_ensemble', 'clean', 70),
    ('knowledge_student', 'clean', 70),
    ('knowledge_student', 'contrast/1', 70),
  ]
  # Nothing has changed, so nothing is evaluated again.
  with monkeypatch.context() as patched:
    patched.setattr(evaluator, 'Evaluator', None)
    patched.setattr(prediction_scores, 'evaluate_predictions', None)
    assert assess() == table
  # Only the teacher has changed, so the student is not evaluated again.
  systems[0] = _predictions(tmp_path / 'b.npz', ['test'])
  monkeypatch.setattr(evaluator, 'Evaluator', None)
  assert assess() == table


def test_without_test_predictions_the_student_is_alone(
  student, tmp_path, caplog
):
  systems = [_predictions(tmp_path / 'a.npz', ['train']), student]
  table = experiments.assess(
    systems, _config(), _CPU, str(tmp_path / 'report'), 'Title'
  )
  assert len(table.split('\n')) == 3 and 'Knowledge student' in table
  assert 'a.npz' in caplog.text and 'test_probs' in caplog.text
  # Stored predictions are not scored at a temperature either.
  scaled = evaluation.System('scaled', None, systems[0].paths, scaled=True)
  table = experiments.assess(
    [scaled, student], _config(), _CPU, str(tmp_path / 'other'), 'Title'
  )
  assert len(table.split('\n')) == 3 and 'no temperature' in caplog.text


def test_another_order_of_the_test_set_is_refused(student, tmp_path):
  systems = [_predictions(tmp_path / 'a.npz', ['test'], turned=1), student]
  with pytest.raises(InputError, match='test_labels of .* order'):
    experiments.assess(systems, _config(), _CPU, str(tmp_path / 'r'), 'Title')


def test_size_of_a_stored_teacher(tmp_path):
  config = _config()
  system = _predictions(tmp_path / 'a.npz', ['train'])
  config.task.objective.teacher = system.paths * 2
  assert training.teacher_size(experiments.opened(config)) == 6
