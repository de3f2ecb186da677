"""Datasets, augmentation, batches with masks, and corruptions."""

from uncertainty_distill.data.augmentation import augment
from uncertainty_distill.data.augmentation import augmentation_table
from uncertainty_distill.data.foreign import load_foreign
from uncertainty_distill.data.foreign import load_held_out
from uncertainty_distill.data.pipeline import evaluation_batches
from uncertainty_distill.data.pipeline import training_batches
from uncertainty_distill.data.sources import dataset_spec
from uncertainty_distill.data.sources import DatasetSpec
from uncertainty_distill.data.sources import ImageDataset
from uncertainty_distill.data.sources import load_dataset
