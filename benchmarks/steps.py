r"""Measures training and evaluation steps, relative to a plain network's steps.

The plain network sees E times as many images, so that its FLOPs are the same. A
step is the task's own, with its optimizer, L2 and metrics, on images in memory.

  python benchmarks/steps.py --networks=10-1x64,16-4x32

The next command compares a BatchEnsemble whose members see examples of their
own with a BatchEnsemble whose members all see each example. With four members,
the ratio of the training steps should be at most 0.30:

  python benchmarks/steps.py --baseline=batch_ensemble --systems=one_member \
    --steps=train
"""

from __future__ import annotations

import os
from collections.abc import Callable

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

from uncertainty_distill import configs, training

import interleaved_timing
import systems
import tensorflow as tf
from absl import app, flags

_NETWORKS = flags.DEFINE_list(
  'networks',
  ['10-1x64', '10-2x64', '16-4x32'],
  'Depth, width and distinct images in a batch of each Wide ResNet.',
)
_SYSTEMS = flags.DEFINE_list(
  'systems',
  ['batch_ensemble', 'edward2'],
  'What to measure beside the baseline: ' + ', '.join(systems.SYSTEMS) + '.',
)
_BASELINE = flags.DEFINE_string(
  'baseline', 'plain', 'The system that ratios are relative to.'
)
_STEPS = flags.DEFINE_list(
  'steps', list(systems.STEPS), 'Which of train, evaluation.'
)
_RANK = flags.DEFINE_integer('rank', 1, "Of the members' perturbations.")
_MEMBERS = flags.DEFINE_integer('members', 4, 'Of each BatchEnsemble.')
_ROUNDS = flags.DEFINE_integer('rounds', 15, 'Turns that each one takes.')


def _config(depth: int, width: int, batch: int) -> configs.ExperimentConfig:
  """Returns an experiment on images of CIFAR-10's shape."""
  config = configs.load_config('cifar10_wrn10_1')
  task = config.task
  task.model.depth = config.teacher.depth = depth
  task.model.width = config.teacher.width = width
  task.model.ensemble_size = config.teacher.ensemble_size = _MEMBERS.value
  task.model.rank = _RANK.value
  task.train_data.global_batch_size = batch
  return training.resolve(config)


def _candidate(
  config: configs.ExperimentConfig, name: str, step: str
) -> Callable[[], None]:
  """Returns a function that takes one step of a system."""
  examples = config.task.train_data.global_batch_size
  if systems.SYSTEMS[name].single:
    examples *= config.task.model.ensemble_size
  trainer = systems.build_trainer(config, systems.SYSTEMS[name])
  inputs = systems.batch(config, systems.SYSTEMS[name], step, examples)
  run = trainer.train_step if step == 'train' else trainer.eval_step

  @tf.function(autograph=False)
  def compiled():
    run(iter([inputs]))

  return compiled


def main(argv):
  del argv
  rows = []
  names = [_BASELINE.value, *_SYSTEMS.value]
  for network in _NETWORKS.value:
    shape, _, batch = network.partition('x')
    depth, width = map(int, shape.split('-'))
    config = _config(depth, width, int(batch))
    for step in _STEPS.value:
      candidates = {name: _candidate(config, name, step) for name in names}
      times = interleaved_timing.time_interleaved(candidates, _ROUNDS.value)
      rows += [
        [
          f'WRN-{shape}, {batch} x {_MEMBERS.value}',
          step,
          systems.SYSTEMS[name].about,
          *interleaved_timing.cells(times, name, _BASELINE.value),
        ]
        for name in names
      ]
  interleaved_timing.print_table(
    ['Network', 'step', 'system', 'ms', 'ratio'], rows
  )


if __name__ == '__main__':
  app.run(main)
