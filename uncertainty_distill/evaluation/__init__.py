"""Evaluation on clean and corrupted test sets."""

from uncertainty_distill.evaluation.aggregation import (
  Aggregate,
  aggregate_models,
  by_seed,
  summary,
)
from uncertainty_distill.evaluation.evaluator import (
  Candidate,
  Evaluator,
  count_parameters,
)
from uncertainty_distill.evaluation.prediction_scores import (
  evaluate_predictions,
)
from uncertainty_distill.evaluation.result_cache import (
  RESULTS_FILE,
  ResultCache,
  find_results,
)
from uncertainty_distill.evaluation.results import Result, read_json
from uncertainty_distill.evaluation.system import (
  ModelSize,
  System,
  default_experiment,
  evaluate_systems,
)
