"""Model Garden tasks."""

from uncertainty_distill.tasks.classification import check_members
from uncertainty_distill.tasks.classification import ClassificationTask
