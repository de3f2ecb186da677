r"""Measures the time from the start of a command to its first training step.

Each repetition is a process of its own, as a command is. TensorFlow is imported
first, so that the import of the package shows only what the package adds.

  python benchmarks/startup.py --experiment=digits_wrn10_1 --repetitions=7
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')

from absl import app, flags

_EXPERIMENT = flags.DEFINE_string(
  'experiment', 'digits_wrn10_1', 'The registered experiment to begin.'
)
_PARAMS_OVERRIDE = flags.DEFINE_string(
  'params_override', '', 'Overrides of it, as of train.py.'
)
_REPETITIONS = flags.DEFINE_integer('repetitions', 5, 'Processes to measure.')
_STARTED = flags.DEFINE_float(
  'started', None, 'Set by this command for the processes that it starts.'
)

_FURTHER = 'one further step'


class _Clock:
  """Records how long each phase takes.

  Attributes:
    phases: The seconds of each phase by its name, in order.
  """

  def __init__(self, started: float):
    self.phases: dict[str, float] = {}
    self._last = started

  def note(self, phase: str) -> None:
    """Ends a phase, which began when the previous phase ended."""
    now = time.time()
    self.phases[phase] = now - self._last
    self._last = now


def _begin_training(clock: _Clock) -> None:
  """Does what train.py does up to its first steps, phase by phase."""
  clock.note('Python')
  gc.disable()  # As a command does while it imports modules.
  import tensorflow as tf
  import tf_keras  # noqa: F401

  clock.note('import TensorFlow and Keras')
  from uncertainty_distill import configs, distribution, training
  from uncertainty_distill.baselines.cifar import launch  # noqa: F401
  from uncertainty_distill.training import recovery
  from uncertainty_distill.training import trainer as trainer_lib

  clock.note('import the package')
  config = configs.load_config(
    _EXPERIMENT.value, params_override=_PARAMS_OVERRIDE.value
  )
  config.task.objective.kind = 'cross_entropy'
  strategy = distribution.make_strategy(config.runtime)
  experiment = training.open_experiment(config, strategy)
  experiment.check()
  config = experiment.config
  clock.note('configuration, devices, dataset')
  with strategy.scope():
    task = training.ClassificationTask(experiment)
    model = task.build_model()
    optimizer = recovery.build_optimizer(
      config.trainer.optimizer_config, 1.0, model.trainable_variables
    )
    trainer = trainer_lib.Trainer(config, task, model, optimizer)
    clock.note('model')
    batches = iter(
      trainer.distribute_dataset(task.build_inputs, config.task.train_data)
    )
    clock.note('input pipeline')
    loop, steps = trainer.create_train_loop_fn(), tf.constant(1)
    loop.get_concrete_function(batches, steps)
    clock.note('trace')
    for phase in 'first step', _FURTHER:
      loop(batches, steps)
      trainer.train_loss.result().numpy()  # Waits for the device.
      clock.note(phase)


def _measured() -> dict[str, float]:
  """Returns the phases of a new process, in seconds."""
  arguments = [*sys.argv, f'--started={time.time()!r}']
  done = subprocess.run(
    [sys.executable, *arguments],
    capture_output=True,
    text=True,
    check=False,
  )
  if done.returncode:
    sys.exit(done.stderr)
  return json.loads(done.stdout.splitlines()[-1])


def main(argv):
  del argv
  if _STARTED.value is not None:
    clock = _Clock(_STARTED.value)
    _begin_training(clock)
    print(json.dumps(clock.phases))
    return
  _measured()  # Brings the files into memory.
  runs = [_measured() for _ in range(_REPETITIONS.value)]
  for run in runs:
    further = run.pop(_FURTHER)
    run['all of it'] = sum(run.values())
    run[_FURTHER] = further
  print('| seconds | median | least | most |')
  print('|---|--:|--:|--:|')
  for phase in runs[0]:
    seconds = [run[phase] for run in runs]
    print(
      f'| {phase} | {statistics.median(seconds):.2f} | {min(seconds):.2f} | '
      f'{max(seconds):.2f} |'
    )


if __name__ == '__main__':
  app.run(main)
