"""Random logits and labels, and a comparison of their metrics."""

import numpy as np


def draw(members=3, examples=64, classes=5, seed=0):
  """Returns logits [E,B,K] and labels [B]."""
  generator = np.random.default_rng(seed)
  logits = generator.normal(size=(members, examples, classes)) * 2
  # No label is the last class.
  labels = generator.integers(classes - 1, size=examples)
  return logits.astype(np.float32), labels.astype(np.int32)


def assert_equal(got, want, rtol=1e-5):
  """Compares dictionaries of numbers or arrays."""
  assert got.keys() == want.keys()
  for key in want:
    np.testing.assert_allclose(
      got[key], want[key], rtol=rtol, atol=1e-6, err_msg=key
    )
