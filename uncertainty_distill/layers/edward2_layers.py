"""Edward2's BatchEnsemble layers. Only this module imports edward2.

Edward2 0.0.2 needs Keras 2, and fails with SciPy >= 1.11 while it imports its
NumPy backend. TensorFlow Probability takes most of the time of the import. To
import only a submodule is no faster, because the package imports all of them.
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
  # To import a module that is None here raises ImportError, which Edward2 takes
  # for a missing backend. SciPy's AttributeError would end the import.
  sys.modules[_NUMPY_BACKEND] = None  # pyright: ignore[reportArgumentType]
try:
  with warnings.catch_warnings():
    warnings.filterwarnings('ignore', message='NumPy backend for Edward2')
    # Edward2 would hide why this import fails.
    import tensorflow_probability  # noqa: F401

    # Edward2 uses SciPy only for permutation layers, which are unused here.
    with lazy_imports.deferred_function(
      'scipy.optimize', 'linear_sum_assignment'
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
