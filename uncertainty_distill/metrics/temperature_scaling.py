"""Fits one temperature for all members on examples held out of training."""

from __future__ import annotations

import dataclasses

from uncertainty_distill.metrics.likelihood import ensemble_nll

import numpy as np

# The bounds of a temperature. No network worth serving needs one outside them.
TEMPERATURES = (0.05, 20.0)


@dataclasses.dataclass(frozen=True)
class Calibration:
  """A fitted temperature.

  Attributes:
    temperature: The divisor of the members' logits.
    nll_before: The NLL of the members' mean at temperature 1, in nats per
      example.
    nll_after: The NLL of the members' mean at the fitted temperature.
    num_examples: The number of examples that the temperature was fitted to.
    source: A description of these examples.
  """

  temperature: float
  nll_before: float
  nll_after: float
  num_examples: int
  source: str


def fit_temperature(
  logits: np.ndarray, labels: np.ndarray, source: str
) -> Calibration:
  """Fits the temperature that minimizes the NLL (Guo et al. 2017, 4.2).

  The temperature divides each member's logits. The NLL is that of the members'
  mean probabilities.

  Args:
    logits: [E, N, K] for examples that the members were not trained on.
    labels: Integers [N].
    source: A description of these examples.

  Returns:
    The fit, with a temperature between 0.05 and 20.
  """
  # SciPy takes long to import, and few processes fit a temperature.
  from scipy import optimize, special

  logits = np.asarray(logits, np.float64)

  def nll(log_temperature):
    log_probs = special.log_softmax(logits / np.exp(log_temperature), -1)
    return ensemble_nll(log_probs, labels)

  found = optimize.minimize_scalar(
    nll,
    bounds=tuple(np.log(TEMPERATURES)),
    method='bounded',
    options={'xatol': 1e-4},
  )
  return Calibration(
    float(np.exp(found.x)), nll(0.0), float(found.fun), len(labels), source
  )
