"""Goes back to the last checkpoint when training diverges, and continues.

A run folder whose training has gone back has `rollbacks.json`:

  format                1; another layout would have another number
  learning_rate_factor  the factor of the learning rate from now on
  rollbacks             for each roll-back, `what` was non-finite, the `step` at
                        which it was, and the step that training went `back_to`

Model Garden's own recovery keeps its count only in memory, does not go back in
the data, and does not change the learning rate.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Sequence
from typing import Any

from uncertainty_distill import runs
from uncertainty_distill.distribution import workers
from uncertainty_distill.errors import DivergedError, InputError
from uncertainty_distill.io import files
from uncertainty_distill.runs import checkpoints

import tensorflow as tf
import tf_keras
from official.modeling import optimization, performance

_logger = logging.getLogger(__name__)

ROLLBACKS_FILE = 'rollbacks.json'
_FORMAT = 1


def train(
  run: runs.RunFolder,
  strategy: tf.distribute.Strategy,
  attempt: Callable[[float], None],
) -> None:
  """Trains, and goes back as often as the configuration allows.

  Args:
    run: The run folder. Its configuration says how often to go back and how far
      to lower the learning rate. Earlier roll-backs of the run count.
    strategy: The devices. With several workers, only the chief writes and logs.
    attempt: A function that builds everything anew and trains from the newest
      checkpoint to the end, with the learning rate multiplied by its argument.

  Raises:
    DivergedError: If training diverges once more than is allowed; the last
      checkpoint is kept.
    InputError: If the record of the roll-backs is damaged.
  """
  while True:
    rollbacks, factor = _read(run)
    try:
      attempt(factor)
      return
    except DivergedError as error:
      # Drops the frames, which would keep the network in memory.
      diverged = error.with_traceback(None)
    finally:
      # Networks that are loaded from here on compute as they would in another
      # process, even if a notebook continues after Ctrl-C.
      performance.set_mixed_precision_policy('float32')
    _go_back(run, strategy, diverged, rollbacks, factor)


def build_optimizer(
  config: optimization.OptimizationConfig,
  factor: float,
  weights: Sequence[tf.Variable],
) -> tf_keras.optimizers.Optimizer:
  """Builds Model Garden's optimizer with a scaled learning rate.

  Args:
    config: The optimizer and its learning rate.
    factor: The factor of the learning rate at every step.
    weights: The weights to train.

  Returns:
    The optimizer with all of its variables. If the first step had to create
    them, it would be traced twice, which takes seconds.
  """
  factory = optimization.OptimizerFactory(config)
  rate = factory.build_learning_rate()
  optimizer = factory.build_optimizer(
    rate if factor == 1 else _Scaled(rate, factor)
  )
  if isinstance(optimizer, tf_keras.optimizers.legacy.Optimizer):
    optimizer._create_all_weights(weights)
  else:
    optimizer.build(weights)
  return optimizer


class _Scaled(tf_keras.optimizers.schedules.LearningRateSchedule):
  """A learning rate times a number.

  A constant rate becomes a schedule, too. As a variable, it would get its old
  value back from a checkpoint.
  """

  def __init__(self, rate: Any, factor: float):
    super().__init__()
    self._rate = rate
    self._factor = factor

  def __call__(self, step: tf.Tensor) -> tf.Tensor:
    rate = self._rate(step) if callable(self._rate) else self._rate
    return self._factor * tf.cast(rate, tf.float32)  # pyright: ignore[reportCallIssue,reportArgumentType]

  def get_config(self) -> dict[str, Any]:
    return {'rate': self._rate, 'factor': self._factor}


def _go_back(run, strategy, diverged, rollbacks, factor) -> None:
  """Records a roll-back; raises a DivergedError if no more are allowed."""
  config = run.config.trainer
  is_chief = workers.is_chief(strategy)
  back_to, what = run.step, f'{run.path}: {diverged.what}'
  kept = _kept(back_to)
  if len(rollbacks) >= config.recovery_max_trials:
    advice = _advice(config, len(rollbacks), factor, kept)
    raise DivergedError(what, diverged.step, advice)
  if back_to and rollbacks and rollbacks[-1]['back_to'] == back_to:
    # No checkpoint was saved since training last went back to this one: its
    # weights are finite, but of no use.
    workers.wait(strategy)
    if is_chief:
      checkpoints.discard(run.path, back_to)
    workers.wait(strategy)
    back_to = run.step
    kept = _kept(back_to)
  factor *= config.recovery_learning_rate_factor
  entry = {'what': diverged.what, 'step': diverged.step, 'back_to': back_to}
  if is_chief:
    _logger.warning(
      f'{what} at step {diverged.step}: going back to {kept}, with '
      f'{factor:g} of the learning rate (roll-back {len(rollbacks) + 1} of '
      f'{config.recovery_max_trials})'
    )
    content = {
      'format': _FORMAT,
      'learning_rate_factor': factor,
      'rollbacks': [*rollbacks, entry],
    }
    files.write_text(_path(run), json.dumps(content, indent=1) + '\n')
  workers.wait(strategy)


def _advice(config, num_rollbacks, factor, kept) -> str:
  """Returns what was tried and what the user can do, when training gives up."""
  noun = 'roll-back' if num_rollbacks == 1 else 'roll-backs'
  tried = (
    f'after {num_rollbacks} {noun}, with {factor:g} of the learning rate'
    if num_rollbacks
    else 'training stops'
  )
  return (
    f'{tried}; {kept} is kept; with a higher trainer.recovery_max_trials (now '
    f'{config.recovery_max_trials}) training goes back once more, with '
    f'{factor * config.recovery_learning_rate_factor:g} of the learning rate'
  )


def _kept(step: int) -> str:
  return f'the checkpoint of step {step}' if step else 'the initial state'


def _path(run: runs.RunFolder) -> str:
  return os.path.join(run.path, ROLLBACKS_FILE)


def _read(run: runs.RunFolder) -> tuple[list[dict[str, Any]], float]:
  """Returns a run's roll-backs and the factor of its learning rate."""
  path = _path(run)
  if not files.is_file(path):
    return [], 1.0
  try:
    content = json.loads(files.read_text(path))
    if content['format'] != _FORMAT:
      raise ValueError(f'its format is {content["format"]!r}')
    return content['rollbacks'], float(content['learning_rate_factor'])
  except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
    raise InputError(
      'run folder',
      path,
      'the file of roll-backs that this run wrote',
      f'remove this file to continue with the full learning rate ({error!r})',
    ) from error
