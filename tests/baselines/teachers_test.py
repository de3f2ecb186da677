"""Tests of teachers and students of other kinds, by the public commands."""

import json
import re
import shutil

from uncertainty_distill import data, metrics, runs

import numpy as np
import pytest
import running
import tensorflow as tf

_SHORT = running.EAGER + (
  'trainer.train_steps=4,trainer.checkpoint_interval=2,'
  'trainer.steps_per_loop=2,task.train_data.global_batch_size=16,'
  'task.train_data.crop_padding=0,'
  'task.model.ensemble_size=2,task.validation_data.num_examples=70,'
  'task.validation_data.global_batch_size=35,'
  'evaluation.corruptions=[contrast],evaluation.severities=[5]'
)


def _distill(folder, teacher, more='', mode='train_and_eval'):
  return running.succeed(
    'distill',
    '--experiment=digits_wrn10_1',
    f'--model_dir={folder}',
    f'--teacher={teacher}',
    '--objective=knowledge',
    f'--mode={mode}',
    f'--params_override={_SHORT}{more}',
  )


@pytest.mark.slow
def test_a_student_of_another_width_depth_and_rank(untouched, tmp_path):
  folder = tmp_path / 'student'
  teacher = untouched / 'teacher' / 'member_0'
  other = ',task.model.width=2,task.model.depth=16,task.model.rank=2'
  _distill(folder, teacher, other, mode='train')
  model = runs.open_run(str(folder), '--run').load_model()
  # Two members of rank 2, whose first kernel has 3 channels in and 16 out.
  assert model.get_layer('stem').alpha.shape == (2, 2, 3)
  images = data.open_dataset('digits').test.images[:9]
  loaded = tf.saved_model.load(str(folder / 'saved_model'))
  served = loaded.signatures['serving_default'](images=tf.constant(images))
  np.testing.assert_allclose(
    served['member_probabilities'],
    tf.transpose(tf.nn.softmax(model(images)), [1, 0, 2]),
    atol=1e-5,
  )
  # Whoever forgets a value of the training is told when the run is evaluated.
  for more, said in ((other, False), (f'{other},task.l2=0.5', True)):
    done = _distill(folder, teacher, more, mode='eval')
    assert ('task.l2=' in done.stderr) == said


def test_a_saved_model_of_another_program(tmp_path):
  module = tf.Module()
  generator = np.random.default_rng(0)
  module.kernel = tf.Variable(
    generator.normal(size=(768, 10)) / 2000, dtype=tf.float32
  )
  module.serve = tf.function(
    lambda x: {'top': tf.reshape(x, [-1, 768]) @ module.kernel},
    [tf.TensorSpec([None, None, None, 3], tf.float32, name='x')],
  )
  tf.saved_model.save(
    module,
    str(tmp_path / 'served'),
    signatures={'serving_default': module.serve},
  )
  done = _distill(tmp_path / 'student', tmp_path / 'served')
  assert re.search(r'\btop\b.*logits', done.stderr)
  assert str(tmp_path / 'student' / 'report.html') in done.stdout
  path = tmp_path / 'student' / 'results.json'
  results = json.loads(path.read_text())['results']
  figures = {(r['model'], r['corruption']): r['figures'] for r in results}
  assert ('teacher', 'contrast') in figures
  test = data.open_dataset('digits').test.take(70)
  logits = module.serve(tf.cast(test.images, tf.float32))['top']
  expected = metrics.compute_metrics(
    metrics.sufficient_statistics(logits[None], test.labels)
  )
  assert figures['teacher', None]['nll'] == pytest.approx(
    float(expected['nll']), rel=1e-4
  )
  # Once the teacher is gone, its results stay in the report.
  shutil.rmtree(tmp_path / 'served')
  before = path.read_bytes()
  done = _distill(tmp_path / 'student', tmp_path / 'served')
  assert str(tmp_path / 'served') in done.stderr
  assert path.read_bytes() == before
  path.unlink()
  _distill(tmp_path / 'student', tmp_path / 'served')
  results = json.loads(path.read_text())['results']
  assert {r['model'] for r in results} == {'knowledge_student'}
