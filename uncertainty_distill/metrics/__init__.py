"""Accuracy and uncertainty of an ensemble's predictions.

Metrics that add up over batches are kept as sums. Those in `ranking` need all
examples at once.
"""

from uncertainty_distill.metrics import diversity, ranking
from uncertainty_distill.metrics.calibration import (
  BINS,
  class_gaps,
  classwise_calibration_error,
  confidence_gaps,
)
from uncertainty_distill.metrics.diversity import mutual_information
from uncertainty_distill.metrics.keras_metrics import EnsembleMetrics
from uncertainty_distill.metrics.likelihood import ensemble_nll, finite_log
from uncertainty_distill.metrics.metric_table import (
  CORRUPTED,
  DIVERSITY,
  FROM_BINS,
  LATER,
  METRICS,
  PAPER,
  SETS,
  TEMPERATURE,
  metric_spec,
)
from uncertainty_distill.metrics.nonfinite_mean import NonFiniteTrackingMean
from uncertainty_distill.metrics.per_example import entropy, example_scores
from uncertainty_distill.metrics.prediction_sets import METHODS as SET_METHODS
from uncertainty_distill.metrics.prediction_sets import (
  PredictionSets,
  calibrate_sets,
  least_examples,
  mean_probs,
  set_statistics,
)
from uncertainty_distill.metrics.statistics import (
  ClassificationStatistics,
  compute_metrics,
  sufficient_statistics,
)
from uncertainty_distill.metrics.temperature_scaling import (
  TEMPERATURES,
  Calibration,
  fit_temperature,
)
