"""Distils deep ensembles into BatchEnsembles of one network's size."""

import os
import sys

# Edward2's layers and Model Garden need Keras 2. TensorFlow reads this variable
# when it is first imported, so it must be set before any import of TensorFlow.
if 'tensorflow' in sys.modules and os.environ.get('TF_USE_LEGACY_KERAS') != '1':
  raise ImportError(
      'uncertainty_distill needs Keras 2, but TensorFlow was imported before it '
      'with Keras 3: import uncertainty_distill first, or set the environment '
      'variable TF_USE_LEGACY_KERAS=1.'
  )
os.environ['TF_USE_LEGACY_KERAS'] = '1'
