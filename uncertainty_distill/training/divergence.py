"""Whether what training computes is still numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from uncertainty_distill.distribution import workers
from uncertainty_distill.errors import DivergedError

import numpy as np
import tensorflow as tf

_TOTAL = 'training_loss'
# What follows from the terms of the loss, and says less than they do.
_FOLLOWING = (_TOTAL, 'gradient_norm')
_NONE = 2**62


def check_loop(
  logs: Mapping[str, Any],
  places: Mapping[str, int],
  start: int,
  stop: int,
  strategy: tf.distribute.Strategy,
) -> None:
  """Checks what a loop of training steps has come to.

  Args:
    logs: Numbers by name, the same for all workers.
    places: Of those that know it, which of the loop's steps, from 1 on, was
      the first bad one on this worker; 0 for none.
    start: The global step before the loop.
    stop: That after it.
    strategy: The devices.

  Raises:
    DivergedError: If one is infinite or none, with the first step of which this
      is known.
  """
  names = _not_finite(logs)
  if not names:
    return
  # A mean is bad if one of its values is: all workers come here, or none does.
  places = {name: places[name] or _NONE for name in names if name in places}
  first = min(places.values(), default=_NONE)
  first = workers.gather(strategy, first)[0]
  own = [name for name, place in places.items() if place == first]
  names = [n for n in own if n not in _FOLLOWING] or own or names
  _fail(names, stop if first == _NONE else start + first)


def check_evaluation(logs: Mapping[str, Any], step: int) -> None:
  """Raises a DivergedError if a figure of the test set is infinite or none."""
  names = _not_finite(logs)
  if names:
    _fail([f'{name} of the test images' for name in names], step)


def check_bound(
  logs: Mapping[str, Any], step: int, bound: float, begin_step: int
) -> None:
  """Raises a DivergedError if the loss is above a bound from a step on."""
  loss = float(logs[_TOTAL])
  if step >= begin_step and loss > bound:
    raise DivergedError(
      f'the loss is {loss:g}, above trainer.loss_upper_bound={bound:g},', step
    )


def _not_finite(logs: Mapping[str, Any]) -> list[str]:
  return [k for k, v in logs.items() if not np.isfinite(np.asarray(v)).all()]


def _fail(names: Sequence[str], step: int) -> None:
  verb = 'is' if len(names) == 1 else 'are'
  raise DivergedError(f'{", ".join(names)} {verb} not finite', step)
