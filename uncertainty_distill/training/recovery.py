"""Goes back to the last checkpoint when training diverges, and on from there.

A run folder in which that has happened has `rollbacks.json`:

  format                1; another number would be another layout
  learning_rate_factor  the factor of the learning rate from now on
  rollbacks             for each of them `what` was non-finite, at which `step`,
                        and the step that training went `back_to`

Model Garden's own recovery keeps its count in memory alone, does not go back in
the data, and leaves the learning rate as it is.
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
    run: The run folder, whose configuration says how often to go back and how
      far to lower the learning rate; roll-backs so far count.
    strategy: The devices; of several workers the chief writes and logs.
    attempt: Builds everything anew and trains from the newest checkpoint to the
      end, with the learning rate multiplied by its argument.

  Raises:
    DivergedError: If training diverges once more; the last checkpoint is kept.
    InputError: If the record of the roll-backs is damaged.
  """
  while True:
    rollbacks, factor = _read(run)
    try:
      attempt(factor)
      return
    except DivergedError as error:
      # Without the frames, which keep the network in memory.
      diverged = error.with_traceback(None)
    finally:
      # What is loaded from here on computes as it would in another process,
      # also where a notebook goes on after Ctrl-C.
      performance.set_mixed_precision_policy('float32')
    _go_back(run, strategy, diverged, rollbacks, factor)


def build_optimizer(
  config: optimization.OptimizationConfig,
  factor: float,
  weights: Sequence[tf.Variable],
) -> tf_keras.optimizers.Optimizer:
  """Builds Model Garden's optimizer with another learning rate.

  Args:
    config: The optimizer and its learning rate.
    factor: The factor of the learning rate at every step.
    weights: The weights to train.

  Returns:
    The optimizer with all of its variables. A step that made them would be
    traced twice, which takes seconds.
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

  A constant rate becomes a schedule, too, since a checkpoint would restore its
  value.
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
  """Records a roll-back; raises a DivergedError if there were enough."""
  config = run.config.trainer
  is_chief = workers.is_chief(strategy)
  back_to, what = run.step, f'{run.path}: {diverged.what}'
  kept = _kept(back_to)
  if len(rollbacks) >= config.recovery_max_trials:
    advice = _advice(config, len(rollbacks), factor, kept)
    raise DivergedError(what, diverged.step, advice)
  if back_to and rollbacks and rollbacks[-1]['back_to'] == back_to:
    # None was saved since then: its weights are finite, but of no use.
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
  """Returns what was tried, and what a user can do where training ends."""
  tried = (
    f'after {num_rollbacks} roll-backs, with {factor:g} of the learning rate'
    if num_rollbacks
    else 'training stops'
  )
  return (
    f'{tried}; {kept} is kept; a higher trainer.recovery_max_trials (now '
    f'{config.recovery_max_trials}) continues from it with '
    f'{config.recovery_learning_rate_factor:g} of the learning rate'
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
      'the roll-backs of this run, as they were written',
      f'remove it to continue with the full learning rate ({error!r})',
    ) from error
