"""Edward2's BatchEnsemble layers: the only place that imports edward2.

Edward2 0.0.2 fails with SciPy >= 1.11 while it imports its NumPy backend, and
needs Keras 2. Most of what it costs to import is TensorFlow Probability; its
submodules cannot be had for less, because the package imports all of them.
"""

import sys
import warnings

from uncertainty_distill.runtime import lazy_imports

import tensorflow as tf
import tf_keras

_NUMPY_BACKEND = 'edward2.numpy'

if tf.keras.layers.Layer is not tf_keras.layers.Layer:
  raise ImportError(
    'Edward2 needs Keras 2, but TensorFlow runs Keras 3: set the environment '
    'variable TF_USE_LEGACY_KERAS=1 before TensorFlow is imported.'
  )

_guarded = _NUMPY_BACKEND not in sys.modules
if _guarded:
  # An import of a module that is None raises ImportError, which Edward2 takes
  # for a missing backend; SciPy's AttributeError would end the import.
  sys.modules[_NUMPY_BACKEND] = None  # pyright: ignore[reportArgumentType]
try:
  with warnings.catch_warnings():
    warnings.filterwarnings('ignore', message='NumPy backend for Edward2')
    # Edward2 would hide why this import failed.
    import tensorflow_probability  # noqa: F401

    # What Edward2 has of SciPy's is for permutation layers, unused here.
    with lazy_imports.deferred_functions(
      'scipy.optimize', ['linear_sum_assignment']
    ):
      from edward2.tensorflow.layers.convolutional import Conv2DBatchEnsemble
      from edward2.tensorflow.layers.dense import DenseBatchEnsemble
except ImportError as _error:
  raise ImportError(
    f"Edward2's BatchEnsemble layers cannot be imported ({_error}): "
    'pip install edward2==0.0.2 tensorflow-probability==0.25.*'
  ) from _error
finally:
  if _guarded:
    del sys.modules[_NUMPY_BACKEND]

__all__ = ['Conv2DBatchEnsemble', 'DenseBatchEnsemble']
