"""Tests of commands whose training diverges or whose checkpoint is damaged."""

import os
import re

import numpy as np
import running
import tensorflow as tf

_TEXT = (
  'trainer.train_steps=4,trainer.steps_per_loop=2,trainer.warmup_epochs=0,'
  'trainer.train_tf_function=false,trainer.train_tf_while_loop=false,'
  'trainer.checkpoint_interval=2,task.train_data.num_examples=128,'
  'task.validation_data.num_examples=40,evaluation.corruptions=[],'
)


def _train(path, text=''):
  return running.run(
    'train',
    '--experiment=digits_wrn10_1',
    f'--model_dir={path}',
    '--ensemble_size=1',
    '--mode=train',
    f'--params_override={_TEXT}{text}',
  )


def _tensors(path):
  reader = tf.train.load_checkpoint(str(path / 'ckpt-4'))
  return {
    name: np.asarray(reader.get_tensor(name))
    for name in reader.get_variable_to_shape_map()
    if not name.startswith('_CHECKPOINTABLE')
  }


def test_training_that_diverges_ends_in_one_line(tmp_path):
  done = _train(tmp_path / 'run', 'trainer.base_learning_rate=1e38')
  assert done.returncode == 1
  assert 'Traceback' not in done.stderr
  *_, line = done.stderr.splitlines()
  assert line.startswith('error: ') and f'{tmp_path}/run' in line
  assert re.search(r'step \d+', line)


def test_a_damaged_checkpoint_costs_its_steps_alone(tmp_path):
  path = tmp_path / 'run'
  assert _train(path).returncode == 0
  (data,) = path.glob('ckpt-4.data*')
  whole = _tensors(path)
  os.truncate(data, 100)
  evaluate = 'evaluate', f'--run={path}', f'--output_dir={tmp_path / "report"}'
  refused = running.run(*evaluate)
  assert refused.returncode == 2
  (line,) = refused.stderr.strip().splitlines()
  assert str(path) in line and data.name in line
  mended = _train(path)
  assert mended.returncode == 0
  (line,) = [s for s in mended.stderr.splitlines() if data.name in s]
  assert str(path) in line and '2 steps' in line
  again = _tensors(path)
  assert again.keys() == whole.keys()
  for name, value in whole.items():
    np.testing.assert_array_equal(again[name], value, err_msg=name)
