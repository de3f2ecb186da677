"""Model Garden tasks."""

from uncertainty_distill.tasks.classification import ClassificationTask
