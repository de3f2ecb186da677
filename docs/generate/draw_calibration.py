r"""Draws the calibration of three models whose predictions are the same.

  python docs/generate/draw_calibration.py \
      --output=docs/explanation/calibration.png

Labels are drawn from the softmax of random logits, so these logits are
calibrated. Twice and half the logits are not calibrated.
"""

from __future__ import annotations

import argparse

from uncertainty_distill import plots

import numpy as np
from scipy import special

_EXAMPLES, _CLASSES, _BINS = 20_000, 10, 15
_SCALES = {'underconfident': 0.5, 'calibrated': 1.0, 'overconfident': 2.0}


def _bins(probs: np.ndarray, labels: np.ndarray) -> plots.Bins:
  """Returns the sums that a reliability diagram is drawn from."""
  confidence = probs.max(-1)
  index = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
  return tuple(
    np.bincount(index, weights, _BINS)
    for weights in (None, confidence, probs.argmax(-1) == labels)
  )


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--output', required=True, help='a .png file')
  arguments = parser.parse_args()
  generator = np.random.default_rng(0)
  logits = generator.normal(scale=2, size=(_EXAMPLES, _CLASSES))
  labels = (logits + generator.gumbel(size=logits.shape)).argmax(-1)
  figure = plots.reliability_diagram(
    {
      name: _bins(special.softmax(scale * logits, -1), labels)
      for name, scale in _SCALES.items()
    }
  )
  plots.save(figure, arguments.output)
  for name, scale in _SCALES.items():
    log_probs = special.log_softmax(scale * logits, -1)
    nll = -log_probs[np.arange(_EXAMPLES), labels].mean()
    accuracy = (logits.argmax(-1) == labels).mean()
    print(f'{name}: accuracy {accuracy:.3f}, NLL {nll:.3f}')


if __name__ == '__main__':
  main()
