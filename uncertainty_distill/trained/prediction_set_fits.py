"""Calibrates prediction sets; refuses to do so with too few images."""

from __future__ import annotations

import logging

from uncertainty_distill import data, metrics
from uncertainty_distill.errors import InputError

import numpy as np

_logger = logging.getLogger(__name__)

# If this many sets lack the right class, the share of such sets is within a
# tenth of alpha in about two of three calibrations.
_FEW_MISSING = 100


def check_set_options(name: str, alpha: float, method: str) -> None:
  """Raises an InputError if alpha is out of range or the method is unknown."""
  if not 0 < alpha < 1:
    raise InputError(name, alpha, 'more than 0 and less than 1')
  if method not in metrics.SET_METHODS:
    raise InputError(
      f'{name}_method', method, f'one of {", ".join(metrics.SET_METHODS)}'
    )


def calibrate_sets(
  logits: np.ndarray,
  examples: data.ImageSource,
  alpha: float,
  method: str,
  source: str,
  name: str,
  value: str,
) -> metrics.PredictionSets:
  """Calibrates prediction sets; see `metrics.calibrate_sets`.

  Args:
    logits: The logits of a model's members for the examples, [E, N, K].
    examples: N labeled images that the model was not trained on.
    alpha: The share of images whose set may lack the right class.
    method: One of `metrics.SET_METHODS`.
    source: A description of these examples.
    name: The parameter that gave the examples, for error messages.
    value: The value of that parameter.

  Raises:
    InputError: If there are fewer examples than `metrics.least_examples`.
  """
  count, least = len(examples), metrics.least_examples(alpha, method)
  if count < least:
    raise InputError(
      name,
      value,
      f'at least {least} labeled images',
      message=f'prediction sets that miss {alpha:g} of the images need at '
      f'least {least} labeled images for {method}, and `{name}` gives {count}',
    )
  if count * alpha < _FEW_MISSING:
    _logger.warning(
      f'The prediction sets are calibrated on only {count} images: the share '
      f'of future images that the sets miss may differ from {alpha:g}'
    )
  return metrics.calibrate_sets(logits, examples.labels, alpha, method, source)
