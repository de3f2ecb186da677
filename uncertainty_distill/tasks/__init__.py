"""Model Garden tasks."""

from uncertainty_distill.tasks.classification import ClassificationTask
from uncertainty_distill.tasks.examples import load_training, load_training_rows
from uncertainty_distill.tasks.teaching import check_members
