"""Datasets, augmentation, batches with masks, and corruptions."""

from uncertainty_distill import deferred
from uncertainty_distill.data.foreign import load_foreign, load_held_out
from uncertainty_distill.data.holding_out import hold_out
from uncertainty_distill.data.sources import (
  DatasetSpec,
  ImageDataset,
  dataset_spec,
  load_dataset,
)

# These need TensorFlow, which takes seconds to import. The processes that only
# corrupt images do without, so it is imported when one of these is asked for.
__getattr__ = deferred.attributes(
  __name__,
  {
    'augment': 'augmentation',
    'augmentation_table': 'augmentation',
    'AUGMENTATION_VERSION': 'augmentation',
    'evaluation_batches': 'pipeline',
    'training_batches': 'pipeline',
    'view_batches': 'pipeline',
  },
)
