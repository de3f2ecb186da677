"""Accuracy and uncertainty of an ensemble's predictions.

What adds up over batches is kept as sums; `ranking` takes every example.
"""

from uncertainty_distill.metrics import diversity, ranking
from uncertainty_distill.metrics.examples import example_scores
from uncertainty_distill.metrics.likelihood import ensemble_nll
from uncertainty_distill.metrics.statistics import (
  ClassificationStatistics,
  figures,
  sufficient_statistics,
)
from uncertainty_distill.metrics.watched_mean import WatchedMean

__all__ = [
  'ClassificationStatistics',
  'WatchedMean',
  'diversity',
  'ensemble_nll',
  'example_scores',
  'figures',
  'ranking',
  'sufficient_statistics',
]
