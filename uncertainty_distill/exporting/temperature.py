"""One temperature for all members, fitted on examples held out of training."""

from __future__ import annotations

import dataclasses

from uncertainty_distill import metrics

import numpy as np

# Beyond these, no network worth serving is found.
_RANGE = (0.05, 20.0)


@dataclasses.dataclass(frozen=True)
class Calibration:
  """A fitted temperature.

  Attributes:
    temperature: Divides the members' logits.
    nll_before: NLL of the members' mean at temperature 1, in nats an example.
    nll_after: NLL at this temperature.
    num_examples: How many it was fitted on.
    source: Which ones, for a reader.
  """

  temperature: float
  nll_before: float
  nll_after: float
  num_examples: int
  source: str


def fit_temperature(
  logits: np.ndarray, labels: np.ndarray, source: str
) -> Calibration:
  """Finds the temperature of the least NLL (Guo et al. 2017, section 4.2).

  Each member's logits are divided by it before the mean over members, and the
  NLL is that of the mean.

  Args:
    logits: [E, N, K], of examples that the members were not trained on.
    labels: Integers [N].
    source: Says which examples these are.

  Returns:
    The temperature, within 0.05 to 20.
  """
  # They take long to import, and few processes fit a temperature.
  from scipy import optimize, special

  logits = np.asarray(logits, np.float64)

  def nll(log_temperature):
    log_probs = special.log_softmax(logits / np.exp(log_temperature), -1)
    return metrics.ensemble_nll(log_probs, labels)

  found = optimize.minimize_scalar(
    nll,
    bounds=tuple(np.log(_RANGE)),
    method='bounded',
    options={'xatol': 1e-4},
  )
  return Calibration(
    float(np.exp(found.x)), nll(0.0), float(found.fun), len(labels), source
  )
