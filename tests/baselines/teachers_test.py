"""Teachers and students of other kinds, by the public commands."""

import json
import os
import re

from uncertainty_distill import data, runs

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


def _metrics(folder):
  results = json.loads((folder / 'results.json').read_text())['results']
  return {(r['model'], r['corruption']): r['figures'] for r in results}


@pytest.fixture(scope='module')
def teacher(tmp_path_factory):
  """The run folder of a WRN-10-1 that saw a few images."""
  folder = tmp_path_factory.mktemp('teacher') / 'run'
  running.succeed(
    'train',
    '--experiment=digits_wrn10_1',
    f'--model_dir={folder}',
    '--ensemble_size=1',
    '--mode=train',
    '--params_override=trainer.train_steps=2',
  )
  return folder


def test_a_student_of_another_width_depth_and_rank(teacher, tmp_path):
  folder = tmp_path / 'student'
  other = ',task.model.width=2,task.model.depth=16,task.model.rank=2'
  _distill(folder, teacher, other, mode='train')
  run = runs.open_run(str(folder), '--run')
  model = run.load_model()
  # Two members of rank 2, whose first kernel has 3 channels in and 16 out.
  assert model.get_layer('stem').alpha.shape == (2, 2, 3)
  weights = model.get_weights()
  for path in folder.glob('ckpt-4.*'):
    os.remove(path)
  tf.compat.v1.train.update_checkpoint_state(
    str(folder), str(folder / 'ckpt-2')
  )
  # It goes on from step 2 as if it had never stopped.
  assert '2/4' in _distill(folder, teacher, other).stderr
  resumed = run.load_model().get_weights()
  for one, two in zip(weights, resumed, strict=True):
    np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)
  images = data.open_dataset('digits').test.images[:9]
  loaded = tf.saved_model.load(str(folder / 'saved_model'))
  served = loaded.signatures['serving_default'](images=tf.constant(images))
  np.testing.assert_allclose(
    served['member_probabilities'],
    tf.transpose(tf.nn.softmax(run.load_model()(images)), [1, 0, 2]),
    atol=1e-5,
  )
  output = f'--output_dir={tmp_path / "evaluated"}'
  running.succeed('evaluate', f'--run={folder}', output)
  evaluated = _metrics(tmp_path / 'evaluated')
  distilled = _metrics(folder)
  for corruption in None, 'contrast':
    assert evaluated['model', corruption] == pytest.approx(
      distilled['knowledge_student', corruption], rel=1e-5
    )


def test_a_saved_model_of_another_program_and_its_stored_predictions(tmp_path):
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
  arrays = {}
  for split in 'train', 'test':
    dataset = getattr(data.open_dataset('digits'), split)
    arrays[f'{split}_logits'] = module.serve(
      tf.cast(dataset.images, tf.float32)
    )['top']
    arrays[f'{split}_labels'] = dataset.labels
  np.savez(tmp_path / 'predictions.npz', **arrays)
  metrics = []
  for name in 'served', 'predictions.npz':
    done = _distill(tmp_path / f'of_{name}', tmp_path / name)
    guessed = re.search(r'\btop\b.*logits', done.stderr)
    assert bool(guessed) == (name == 'served')
    assert str(tmp_path / f'of_{name}' / 'report.html') in done.stdout
    extra = tmp_path / f'of_{name}' / 'saved_model' / 'assets.extra'
    card = (extra / 'MODEL_CARD.md').read_text()
    assert ('stored predictions' in card) == (name != 'served')
    metrics.append(_metrics(tmp_path / f'of_{name}'))
  served, stored = metrics
  for key in ('teacher', None), ('knowledge_student', None):
    assert stored[key]['nll'] == pytest.approx(served[key]['nll'], rel=2e-3)
  assert ('teacher', 'contrast') in served
  assert ('teacher', 'contrast') not in stored
