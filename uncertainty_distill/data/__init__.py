"""Datasets, augmentation, batches with masks, and corruptions."""

from uncertainty_distill.data.array_checks import check_labels, image_hint
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

import lazy_loader

# These need TensorFlow, which takes seconds to import. The processes that only
# corrupt images do without, so it is imported when one of these is asked for.
__getattr__, *_ = lazy_loader.attach(
  __name__,
  submod_attrs={
    'augmentation': [
      'AUGMENTATION_VERSION',
      'augment',
      'augmentation_table',
    ],
    'evaluation_sets': [
      'EvaluationSets',
      'corrupted_files',
      'open_evaluation_sets',
      'parse_shifts',
    ],
    'pipeline': ['evaluation_batches', 'training_batches', 'view_batches'],
  },
)
