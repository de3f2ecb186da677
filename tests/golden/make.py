r"""Makes the golden files of this version, by its public commands and API.

  python tests/golden/make.py tests/golden/v0.2.0

README.md in this folder describes the files. Run the command from the root of a
checkout without changes, with a folder that does not exist yet. It takes some
minutes.
"""

import json
import pathlib
import shutil
import signal
import subprocess
import sys
import time

# Imported first: it selects Keras 2 before TensorFlow is imported.
import uncertainty_distill as ud

import numpy as np
import tensorflow as tf

_COMMANDS = pathlib.Path('baselines/cifar')
_GOLDEN = 'GOLDEN'  # Stands for the folder in the commands that are kept.
_NUM_IMAGES = 20
_SHARED = (
  'task.model.ensemble_size=2,teacher.ensemble_size=2,'
  'task.validation_data.num_examples=100,'
  'task.validation_data.global_batch_size=50,'
  'evaluation.corruptions=[contrast],evaluation.severities=[5]'
)
# Many small steps, so that two epochs teach something.
_TWO_EPOCHS = (
  f'{_SHARED},trainer.epochs=2,teacher.epochs=2,trainer.warmup_epochs=0.25,'
  'task.train_data.global_batch_size=16,teacher.global_batch_size=16'
)
# Without momentum a checkpoint has half the size.
_SMALL = f'{_TWO_EPOCHS},trainer.momentum=0,trainer.base_learning_rate=2'
_MEMBERS = [f'student/teacher/member_{index}' for index in range(2)]
_STUDY = """\
title: Golden
experiment: digits_wrn10_1
params_override:
  trainer:
    {epochs: 2, warmup_epochs: 0.25, momentum: 0, base_learning_rate: 2}
  teacher: {epochs: 2, global_batch_size: 16, ensemble_size: 2}
  task:
    model: {ensemble_size: 2}
    train_data: {global_batch_size: 16}
    validation_data: {num_examples: 100, global_batch_size: 50}
  evaluation: {corruptions: [contrast], severities: [5]}
seeds: [4]
systems:
  head_student: {task: {objective: {kind: head}}}
tables:
  table_1: {title: Golden, rows: [deep_ensemble, head_student]}
"""


def _commands() -> dict[str, list[str]]:
  """Returns the command that makes each part, in order."""

  def training(command, name, overrides, *flags):
    return [
      command,
      '--experiment=digits_wrn10_1',
      f'--model_dir={_GOLDEN}/{name}',
      f'--params_override={overrides}',
      *flags,
    ]

  return {
    'network': training(
      'train',
      'network',
      f'{_TWO_EPOCHS},trainer.base_learning_rate=0.2',
      '--ensemble_size=1',
    ),
    'batch_ensemble': training(
      'train',
      'batch_ensemble',
      f'{_SMALL},task.train_data.held_out_fraction=0.1',
    ),
    'student': training(
      'distill',
      'student',
      _SMALL,
      '--objective=head',
      f'--teacher_cache={_GOLDEN}/teacher_cache',
    ),
    'searched': training(
      'distill',
      'searched',
      f'{_SMALL},teacher.search.num_runs=3',
      '--objective=knowledge',
      '--seed=1',
    ),
    'study': [
      'reproduce',
      f'--study={_GOLDEN}/study.yaml',
      f'--output_dir={_GOLDEN}/study',
    ],
    'stopped': training(
      'train',
      'stopped',
      f'{_SHARED},trainer.epochs=2,trainer.steps_per_loop=2',
      '--seed=2',
    ),
  }


def _words(command: list[str], folder: pathlib.Path) -> list[str]:
  name, *flags = [word.replace(_GOLDEN, str(folder)) for word in command]
  return [sys.executable, str(_COMMANDS / f'{name}.py'), *flags]


def _stop_early(words: list[str], run: pathlib.Path) -> None:
  """Starts training, and stops it by SIGTERM after 20 of 24 steps."""
  with subprocess.Popen(words) as process:
    log = run / 'train.log'
    while not log.is_file() or 'step:     20' not in log.read_text():
      time.sleep(0.01)
      assert process.poll() is None
    process.send_signal(signal.SIGTERM)
  assert process.returncode == 128 + signal.SIGTERM


def _tensors(run: pathlib.Path) -> dict[str, np.ndarray]:
  """Returns the numbers in a run's checkpoint by name."""
  reader = tf.train.load_checkpoint(str(run))
  tensors = {
    name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()
  }
  return {k: v for k, v in tensors.items() if not isinstance(v, bytes)}


def _probs(path: pathlib.Path | list[pathlib.Path], split: str, count=None):
  """Returns the probabilities of a model's members [E, N, K]."""
  images = ud.load_dataset('digits', split).images[:count]
  return ud.load(path).predict(images).member_probabilities.swapaxes(0, 1)


def _expect(golden: pathlib.Path) -> None:
  """Writes the models' present predictions and metrics."""
  expected = golden / 'expected'
  expected.mkdir()
  members = [golden / member for member in _MEMBERS]
  fitted = ud.export(
    golden / 'batch_ensemble', golden / 'saved_model', fit_temperature=True
  )
  models = {
    'network': golden / 'network',
    'batch_ensemble': golden / 'batch_ensemble',
    'student': golden / 'student',
    'student/teacher': members,
    'searched': golden / 'searched',
    'saved_model': golden / 'saved_model',
  }
  np.savez(
    expected / 'predictions.npz',
    **{
      name: _probs(path, 'test', _NUM_IMAGES) for name, path in models.items()
    },
  )
  arrays = {}
  for split in 'train', 'test':
    arrays[f'{split}_probs'] = _probs(members, split)
    arrays[f'{split}_labels'] = ud.load_dataset('digits', split).labels
  np.savez(golden / 'predictions.npz', **arrays)
  metrics = {
    name: ud.evaluate(path)
    for name, path in models.items()
    if name != 'saved_model'
  }
  labels = arrays['test_labels'][:100]
  metrics['temperature'] = fitted.temperature
  metrics['predictions'] = ud.measure(arrays['test_probs'][:, :100], labels)
  _write_json(expected / 'metrics.json', metrics)


def _write_json(path: pathlib.Path, content) -> None:
  path.write_text(json.dumps(content, indent=1) + '\n')


def _keep_newest_checkpoint(run: pathlib.Path) -> None:
  """Removes a run's older checkpoints, also from TensorFlow's list."""
  state = tf.train.get_checkpoint_state(run)
  newest = state.model_checkpoint_path
  for path in run.glob('ckpt-*'):
    if path.stem != pathlib.Path(newest).name:
      path.unlink()
  tf.compat.v1.train.update_checkpoint_state(
    run,
    newest,
    [newest],
    all_model_checkpoint_timestamps=state.all_model_checkpoint_timestamps[-1:],
  )


def _strip(golden: pathlib.Path) -> None:
  """Removes files that runs, reports and SavedModels do not need."""
  for pattern in (
    '*.tfevents.*',
    '*.png',
    'report.*',
    'study.md',
    'results.csv',
    'train.log',
    '.lock',
    'tf_serving_warmup_requests',
  ):
    for path in golden.rglob(pattern):
      path.unlink()
  for path in golden.rglob('params.yaml'):
    _keep_newest_checkpoint(path.parent)
  for run in 'network', 'batch_ensemble', 'student', 'searched':
    shutil.rmtree(golden / run / 'saved_model')
  for path in sorted(golden.rglob('*'), reverse=True):
    if path.is_dir() and not any(path.iterdir()):
      path.rmdir()


def main():
  golden = pathlib.Path(sys.argv[1])
  golden.mkdir()
  (golden / 'study.yaml').write_text(_STUDY)
  commands = _commands()
  for name, command in commands.items():
    words = _words(command, golden)
    if name == 'stopped':
      _stop_early(words, golden / name)
    else:
      subprocess.run(words, check=True)
  _write_json(golden / 'commands.json', commands)
  _expect(golden)
  # The stopped run is trained once more, from its first step to its last.
  whole = golden / 'whole'
  subprocess.run(_words(commands['stopped'], whole), check=True)
  np.savez(golden / 'expected/stopped.npz', **_tensors(whole / 'stopped'))
  shutil.rmtree(whole)
  _strip(golden)
  # These times told which weights results belong to; git does not keep times.
  _write_json(
    golden / 'expected/times.json',
    {
      path.relative_to(golden).as_posix(): path.stat().st_mtime_ns
      for path in sorted((golden / 'study').rglob('ckpt-*.index'))
    },
  )


if __name__ == '__main__':
  main()
