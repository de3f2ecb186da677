"""Datasets, augmentation, batches with masks, and corruptions."""

from uncertainty_distill.data.datasets import (
  Dataset,
  open_configured,
  open_dataset,
  open_training,
)
from uncertainty_distill.data.image_source import (
  ArraySource,
  DatasetSpec,
  ImageSource,
  Subset,
)
from uncertainty_distill.data.out_of_distribution import (
  check_prepared,
  open_out_of_distribution,
)
from uncertainty_distill.runtime import lazy_imports

# These need TensorFlow, which takes seconds to import. The processes that only
# corrupt images do without, so it is imported when one of these is asked for.
__getattr__ = lazy_imports.attributes(
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
