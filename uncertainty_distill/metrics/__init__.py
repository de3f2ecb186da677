"""Accuracy and uncertainty of an ensemble's predictions, as additive sums."""

from uncertainty_distill.metrics.statistics import ClassificationStatistics
from uncertainty_distill.metrics.statistics import figures
from uncertainty_distill.metrics.statistics import sufficient_statistics

__all__ = [
    'ClassificationStatistics',
    'figures',
    'sufficient_statistics',
]
