"""Accuracy and uncertainty of an ensemble's predictions.

What adds up over batches is kept as sums; `ranking` takes every example.
"""

from uncertainty_distill.metrics import diversity, ranking
from uncertainty_distill.metrics.likelihood import ensemble_nll
from uncertainty_distill.metrics.nonfinite_mean import WatchedMean
from uncertainty_distill.metrics.per_example import example_scores
from uncertainty_distill.metrics.statistics import (
  ClassificationStatistics,
  figures,
  sufficient_statistics,
)
