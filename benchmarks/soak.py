r"""Trains for long and serves many threads, to find leaks and wrong answers.

A BatchEnsemble trains, with evaluations in between. Meanwhile this benchmark
records the process's memory, open files and threads, and the size of
TensorBoard's files. Then several threads query a SavedModel at once. Each
answer must equal the answer to a single thread, bit for bit.

  python benchmarks/soak.py --minutes=60 --predictions=10000
"""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import interleaved_timing
import numpy as np
import psutil
from absl import app, flags
from scipy import stats

_MINUTES = flags.DEFINE_float('minutes', 60, 'How long to train.')
_EXPERIMENT = flags.DEFINE_string(
  'experiment', 'digits_wrn10_1', 'The registered experiment to train.'
)
_EVALUATION_INTERVAL = flags.DEFINE_integer(
  'evaluation_interval', 900, 'Steps between two evaluations: a minute or so.'
)
_PREDICTIONS = flags.DEFINE_integer('predictions', 10000, 'Images to ask of.')
_THREADS = flags.DEFINE_integer('threads', 8, 'That ask at the same time.')

_COMMANDS = pathlib.Path(__file__).parents[1] / 'baselines' / 'cifar'
_COLUMNS = (
  'minute',
  'memory, MB',
  'open files',
  'threads',
  'events, MB',
  'evaluations',
)


def _look(process: psutil.Process, folder: pathlib.Path) -> list[float]:
  """Returns the present values of `_COLUMNS` for a run, without the minute."""
  events = sum(
    path.stat().st_size for path in folder.glob('**/events.out.tfevents.*')
  )
  log = folder / 'train.log'
  evaluations = log.read_text().count('eval time:') if log.is_file() else 0
  return [
    process.memory_info().rss / 1e6,
    process.num_fds(),
    process.num_threads(),
    events / 1e6,
    evaluations,
  ]


def _train(folder: pathlib.Path) -> tuple[list[list[float]], bool]:
  """Trains until the time is up.

  Returns:
    A row of `_COLUMNS` for every minute, and whether SIGTERM ended the training
    as it should.
  """
  command = [
    sys.executable,
    _COMMANDS / 'train.py',
    f'--experiment={_EXPERIMENT.value}',
    f'--model_dir={folder}',
    # Longer than anybody waits, so that the learning rate never decays.
    '--params_override=trainer.epochs=100000,'
    f'trainer.validation_interval={_EVALUATION_INTERVAL.value}',
  ]
  seen, begin = [], time.monotonic()
  said = folder.with_suffix('.err')
  with (
    said.open('w') as errors,
    subprocess.Popen(command, stderr=errors) as training,
  ):
    process = psutil.Process(training.pid)
    while training.poll() is None:
      minute = (time.monotonic() - begin) / 60
      if minute >= _MINUTES.value:
        training.send_signal(signal.SIGTERM)
        break
      seen.append([minute, *_look(process, folder)])
      time.sleep(min(60, _MINUTES.value * 6))
    code = training.wait()
  minutes = (time.monotonic() - begin) / 60
  last = ''.join(said.read_text().splitlines()[-1:])
  print(
    f'Training ended after {minutes:.1f} minutes with exit code {code}: '
    f'{last}\n'
  )
  return seen, code == 128 + signal.SIGTERM


def _print_slopes(seen: list[list[float]]) -> None:
  """Prints the growth per hour, after a first quarter of settling."""
  settled = np.array(seen[len(seen) // 4 :])
  print()
  for name, column in zip(_COLUMNS[1:5], settled.T[1:5]):
    line = stats.linregress(settled[:, 0] / 60, column)
    print(f'{name}: {line.slope:+.2f} ± {line.stderr:.2f} an hour')


def _export(folder: pathlib.Path) -> None:
  """Trains for an epoch, and exports a SavedModel."""
  subprocess.run(
    [
      sys.executable,
      _COMMANDS / 'train.py',
      '--mode=train',
      f'--experiment={_EXPERIMENT.value}',
      f'--model_dir={folder}',
      '--params_override=trainer.epochs=1',
    ],
    check=True,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
  )


def _differences(folder: pathlib.Path) -> int:
  """Returns how many answers change when other threads ask, too."""
  _export(folder)
  import tensorflow as tf

  loaded = tf.saved_model.load(str(folder / 'saved_model'))
  serve = loaded.signatures['serving_default']
  shape = serve.structured_input_signature[1]['images'].shape[1:]
  generator = np.random.default_rng(0)
  images = generator.integers(0, 256, (97, 1, *shape), dtype=np.uint8)
  images = [tf.constant(image) for image in images]

  def answer(number: int) -> dict[str, np.ndarray]:
    answers = serve(images=images[number % len(images)])
    return {name: value.numpy() for name, value in answers.items()}

  alone = [answer(number) for number in range(len(images))]
  begin = time.monotonic()
  with concurrent.futures.ThreadPoolExecutor(_THREADS.value) as pool:
    answers = pool.map(answer, range(_PREDICTIONS.value))
    different = sum(
      any(
        not np.array_equal(value, alone[number % len(images)][name])
        for name, value in found.items()
      )
      for number, found in enumerate(answers)
    )
  rate = _PREDICTIONS.value / (time.monotonic() - begin)
  print(
    f'{_PREDICTIONS.value} predictions from {_THREADS.value} threads, '
    f'{rate:.0f} a second: {different} differ from those of one thread.'
  )
  return different


def main(argv):
  del argv
  with tempfile.TemporaryDirectory() as scratch:
    folder = pathlib.Path(scratch)
    seen, ended_well = _train(folder / 'long')
    every = max(1, len(seen) // 12)
    interleaved_timing.print_table(
      list(_COLUMNS),
      [
        [
          f'{row[0]:.0f}',
          f'{row[1]:.0f}',
          f'{row[2]:.0f}',
          f'{row[3]:.0f}',
          f'{row[4]:.2f}',
          f'{row[5]:.0f}',
        ]
        for row in seen[::every]
      ],
    )
    _print_slopes(seen)
    different = _differences(folder / 'short')
    sys.exit(0 if ended_well and not different else 1)


if __name__ == '__main__':
  app.run(main)
