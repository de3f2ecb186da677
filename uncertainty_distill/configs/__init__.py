"""Experiment configurations: dataclasses, registered experiments, parsing."""

from uncertainty_distill import deferred

# All of official.core is imported at once, with an input reader that imports
# TFDS; this package reads datasets in its own way, and some need no TFDS.
deferred.defer('tensorflow_datasets')

# pylint: disable=g-import-not-at-top,wrong-import-position
from uncertainty_distill.configs.examples import TrainDataConfig
from uncertainty_distill.configs.experiment import EvaluationConfig
from uncertainty_distill.configs.experiment import ExperimentConfig
from uncertainty_distill.configs.experiment import FROM_TEACHER
from uncertainty_distill.configs.experiment import ModelConfig
from uncertainty_distill.configs.experiment import ObjectiveConfig
from uncertainty_distill.configs.experiment import TaskConfig
from uncertainty_distill.configs.experiment import TrainerConfig
from uncertainty_distill.configs.identity import difference
from uncertainty_distill.configs.identity import plain
from uncertainty_distill.configs.identity import with_paths
from uncertainty_distill.configs.parsing import load_config
from uncertainty_distill.configs.parsing import override
from uncertainty_distill.configs.parsing import override_by_text
from uncertainty_distill.configs.parsing import read_yaml
from uncertainty_distill.configs.registry import experiment_names
from uncertainty_distill.configs.resolution import batches_per_epoch
from uncertainty_distill.configs.resolution import member_config
from uncertainty_distill.configs.resolution import resolve
from uncertainty_distill.configs.resolution import without_teacher
from uncertainty_distill.configs.search import default_run
from uncertainty_distill.configs.search import search_run
from uncertainty_distill.configs.teacher import SearchConfig
from uncertainty_distill.configs.teacher import TeacherConfig
# pylint: enable=g-import-not-at-top,wrong-import-position
