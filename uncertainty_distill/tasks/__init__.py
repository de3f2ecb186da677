"""Model Garden tasks."""

from uncertainty_distill.tasks.classification import ClassificationTask
from uncertainty_distill.tasks.teaching import check_members
