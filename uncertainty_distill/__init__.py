"""Distills deep ensembles into BatchEnsembles of one network's size.

These names are the public API; everything else in the package may change.

  import uncertainty_distill as ud

  student = ud.load('runs/student/saved_model')
  predictions = student.predict(images)          # uint8 [B, H, W, 3]
  print(predictions.class_name, predictions.predictive_entropy)

  load, Predictor, Predictions       trained models and their predictions
  load_dataset, corrupt, measure     images, corrupted images, metrics
  experiment, train, distill         from a configuration to a trained run
  evaluate, export                   the metrics of a run, and its SavedModel
  batch_ensemble, member             BatchEnsembles of any tf_keras network
  MemberCrossEntropy, EnsembleMetrics  their loss and metrics in `fit`
  InputError                         raised for a mistake in what the user gave

docs/tour.ipynb shows examples. Letters in shapes: E or M members, B or N
examples, K classes, H, W and C an image's height, width and channels.
"""

import os
import sys

__version__ = '0.2.0'

# Edward2's layers and Model Garden need Keras 2. TensorFlow reads this variable
# when it is first imported, so it must be set before any import of TensorFlow.
_LEGACY = os.environ.get('TF_USE_LEGACY_KERAS')
if 'tensorflow' in sys.modules and _LEGACY not in ('1', 'true', 'True'):
  raise ImportError(
    'uncertainty_distill needs Keras 2, but TensorFlow was imported before '
    'it with Keras 3: import uncertainty_distill first, or set the '
    'environment variable TF_USE_LEGACY_KERAS=1.'
  )
os.environ['TF_USE_LEGACY_KERAS'] = '1'

from uncertainty_distill.runtime import lazy_imports

# TensorFlow takes seconds to import. So each name of `__init__.pyi`, which type
# checkers also read, imports what it needs when the name is first used.
__getattr__, __dir__, __all__ = lazy_imports.attach_stub(__name__)
