"""Fits a model's temperature, if the images determine one."""

from __future__ import annotations

import logging

from uncertainty_distill import data, metrics
from uncertainty_distill.errors import InputError

import numpy as np

_logger = logging.getLogger(__name__)

# With fewer examples than the first number, a fit is refused; with fewer than
# the second, there is a warning. If a model is wrong about a tenth of the
# examples, 100 of them give the temperature to within about a third.
_MIN_IMAGES, _FEW_IMAGES = 10, 100
# Without errors no temperature is too low, and a few errors alone decide it.
_FEW_ERRORS = 5
# A search that runs into a bound ends this near to it, in log temperature.
_TOLERANCE = 0.01
# The NLL, in nats, below which a lower temperature cannot make a difference.
_NEGLIGIBLE_NLL = 1e-6


def fit_temperature(
  logits: np.ndarray,
  examples: data.ImageSource,
  source: str,
  name: str,
  value: str,
) -> metrics.Calibration:
  """Fits a temperature, if the examples determine one.

  Args:
    logits: The logits of a model's members for the examples, [E, N, K].
    examples: N labeled images that the model was not trained on; see
      `check_examples`.
    source: A description of these examples.
    name: The parameter that gave the examples, for error messages.
    value: The value of that parameter.

  Raises:
    InputError: If no temperature is too low, as for a model without errors.
  """
  # SciPy takes long to import, and few processes fit a temperature.
  from scipy import special

  if len(examples) < _FEW_IMAGES:
    _logger.warning(
      f'The temperature is fitted to only {len(examples)} images: with fewer '
      f'than {_FEW_IMAGES} images, it is a rough guess'
    )
  fitted = metrics.fit_temperature(logits, examples.labels, source)
  predicted = special.softmax(logits, -1).mean(0).argmax(-1)
  errors = int(np.sum(predicted != examples.labels))
  _check_fit(fitted, errors, name, value)
  return fitted


def check_examples(examples: data.ImageSource, name: str, value: str) -> None:
  """Checks that there are enough examples to fit a temperature.

  Args:
    examples: Labeled images.
    name: The parameter that gave the examples, for error messages.
    value: The value of that parameter.

  Raises:
    InputError: If there are fewer than 10 examples, or all are of one class.
  """
  count, classes = len(examples), len(np.unique(examples.labels))
  expected = f'at least {_MIN_IMAGES} labeled images of at least two classes'
  if count < _MIN_IMAGES:
    raise InputError(
      name,
      value,
      expected,
      message=f'a temperature cannot be fitted to {count} images: `{name}` '
      f'must give {expected}',
    )
  if classes < 2:
    raise InputError(
      name,
      value,
      expected,
      message=f'all {count} images for fitting a temperature are of class '
      f'{examples.labels[0]}: `{name}` must give {expected}',
    )


def _check_fit(fitted, errors, name, value):
  """Raises an InputError unless a fit has found a temperature."""
  least, largest = np.log(metrics.TEMPERATURES)
  is_least = np.log(fitted.temperature) < least + _TOLERANCE
  if is_least and errors:
    raise InputError(
      name,
      value,
      'images to which a temperature can be fitted',
      message=f'the NLL of the images of {fitted.source} is lowest at the '
      f'lowest temperature, although the model is wrong about {errors} of '
      'them: its logits are far too small, as cosine similarities are. '
      'Multiply them by a constant before you export the model',
    )
  if is_least or fitted.nll_after < _NEGLIGIBLE_NLL:
    raise InputError(
      name,
      value,
      'labeled images that the model was not trained on, some of which it '
      'gets wrong',
      message='no temperature can be fitted to the images of '
      f'{fitted.source}: the model is right about all {fitted.num_examples} '
      f'of them, as if it had been trained on them. `{name}` must give other '
      'images, or more images',
    )
  if errors < _FEW_ERRORS:
    _logger.warning(
      f'The model is wrong about only {errors} of the {fitted.num_examples} '
      f'images of {fitted.source}, as if it had been trained on them: the '
      'temperature depends on these few errors'
    )
  if np.log(fitted.temperature) > largest - _TOLERANCE:
    _logger.warning(
      f'The NLL of the images of {fitted.source} is lowest at the highest '
      'temperature: the model says nothing about their labels, as if the '
      'labels were random, or the model were hardly trained'
    )
