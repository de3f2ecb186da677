"""Detects training that diverges, by non-finite numbers (inf or NaN)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from uncertainty_distill.distribution import workers
from uncertainty_distill.errors import DivergedError

import numpy as np
import tensorflow as tf

_TOTAL = 'training_loss'
# These follow from the terms of the loss, and say less.
_DERIVED = (_TOTAL, 'gradient_norm')
_NEVER = 2**62


def check_loop(
  logs: Mapping[str, Any],
  first_steps: Mapping[str, int],
  start: int,
  stop: int,
  strategy: tf.distribute.Strategy,
) -> None:
  """Checks the numbers of a loop of training steps.

  Args:
    logs: The numbers by name, the same for all workers.
    first_steps: By name, the first of the loop's steps, counted from 1, whose
      number was non-finite on this worker; 0 for none. Only numbers for which
      this is known have an entry.
    start: The global step before the loop.
    stop: The global step after it.
    strategy: The devices.

  Raises:
    DivergedError: If a number is non-finite, with the first step for which this
      is known.
  """
  names = _nonfinite(logs)
  if not names:
    return
  # A mean is non-finite if one of its values is: all workers come here, or none
  # does.
  first_steps = {
    name: first_steps[name] or _NEVER for name in names if name in first_steps
  }
  first = min(first_steps.values(), default=_NEVER)
  first = workers.gather(strategy, first)[0]
  own = [name for name, step in first_steps.items() if step == first]
  names = [n for n in own if n not in _DERIVED] or own or names
  _fail(names, stop if first == _NEVER else start + first)


def check_evaluation(logs: Mapping[str, Any], step: int) -> None:
  """Raises a DivergedError if a metric of the test set is non-finite."""
  names = _nonfinite(logs)
  if names:
    _fail([f'{name} of the test images' for name in names], step)


def check_bound(
  logs: Mapping[str, Any], step: int, bound: float, begin_step: int
) -> None:
  """Raises a DivergedError for a loss above the bound, from `begin_step` on."""
  loss = float(logs[_TOTAL])
  if step >= begin_step and loss > bound:
    raise DivergedError(
      f'the loss is {loss:g}, above trainer.loss_upper_bound={bound:g},', step
    )


def _nonfinite(logs: Mapping[str, Any]) -> list[str]:
  return [k for k, v in logs.items() if not np.isfinite(np.asarray(v)).all()]


def _fail(names: Sequence[str], step: int) -> None:
  verb = 'is' if len(names) == 1 else 'are'
  raise DivergedError(
    f'{", ".join(names)} {verb} non-finite (inf or NaN)', step
  )
