"""Ensembles whose logits are at the limits of floating-point numbers.

For property-based tests: hypothesis draws the same examples in every run.
"""

import hypothesis
import numpy as np
import tensorflow as tf
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

few_examples = hypothesis.settings(
  max_examples=60, derandomize=True, deadline=None, database=None
)

# Ordinary logits, and those that overflow, underflow or tie when exponentiated.
# 65504 is the largest number of float16.
VALUES = st.one_of(
  st.floats(-20, 20, width=16),
  st.sampled_from([0.0, 88.75, -103.0, 1e4, -1e4, 65504.0, -65504.0]),
)
TYPES = st.sampled_from([tf.float32, tf.float16, tf.bfloat16])


def _array(shape):
  everywhere = VALUES.map(lambda value: np.full(shape, value, np.float32))
  return st.one_of(hnp.arrays(np.float32, shape, elements=VALUES), everywhere)


@st.composite
def ensembles(draw, teacher=False):
  """Draws logits [E,B,K], labels [B] and, if asked, a teacher's logits [M,B,K].

  E, M and B may be 1, and most draws leave a class without labels. The logits
  are tensors of any of the types that networks compute in.
  """
  members, examples = draw(st.integers(1, 4)), draw(st.integers(1, 4))
  classes = draw(st.integers(2, 5))

  def logits(count):
    array = draw(_array((count, examples, classes)))
    kind = draw(TYPES)
    # The largest numbers of float16 are too large for bfloat16 to tell apart.
    return tf.cast(tf.constant(array), kind)

  labels = hnp.arrays(np.int32, examples, elements=st.integers(0, classes - 1))
  drawn = logits(members), draw(labels)
  return (*drawn, logits(draw(st.integers(1, 4)))) if teacher else drawn


def in_float64(logits):
  """Returns the exact numbers of a tensor as a NumPy array of float64."""
  return tf.cast(logits, tf.float64).numpy()


def assert_near(got, want, size=1.0, message=''):
  """Checks numbers to the precision of float32 for terms of a given size."""
  got = np.asarray(got)
  assert np.isfinite(got).all(), message
  error = np.abs(got - np.asarray(want))
  bound = 3e-6 * (np.abs(want) + np.asarray(size))
  assert (error <= bound).all(), f'{message}: {got} instead of {want}'
