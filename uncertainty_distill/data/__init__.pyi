"""The names that this package offers, for type checkers and `__init__.py`."""

from .array_checks import check_labels as check_labels
from .augmentation import AUGMENTATION_VERSION as AUGMENTATION_VERSION
from .augmentation import augment as augment
from .augmentation import augmentation_table as augmentation_table
from .channel_moments import LevelCounts as LevelCounts
from .datasets import Dataset as Dataset
from .datasets import Decoding as Decoding
from .datasets import open_configured as open_configured
from .datasets import open_dataset as open_dataset
from .datasets import open_training as open_training
from .distortion import Distortion as Distortion
from .evaluation_sets import EvaluationSets as EvaluationSets
from .evaluation_sets import corrupted_files as corrupted_files
from .evaluation_sets import open_evaluation_sets as open_evaluation_sets
from .evaluation_sets import parse_shifts as parse_shifts
from .evaluation_sets import prepared_folders as prepared_folders
from .given_arrays import keep_arrays as keep_arrays
from .image_source import ArraySource as ArraySource
from .image_source import Concatenation as Concatenation
from .image_source import DatasetSpec as DatasetSpec
from .image_source import ImageSource as ImageSource
from .image_source import Subset as Subset
from .out_of_distribution import check_prepared as check_prepared
from .out_of_distribution import (
  open_out_of_distribution as open_out_of_distribution,
)
from .pipeline import evaluation_batches as evaluation_batches
from .pipeline import training_batches as training_batches
from .pipeline import view_batches as view_batches
from .unlabeled import open_unlabeled as open_unlabeled
from .views import Views as Views
