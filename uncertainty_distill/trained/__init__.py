"""Trained models: runs, SavedModels, stored predictions, several of them."""

from uncertainty_distill.trained.batch_function import BatchFunction, apply
from uncertainty_distill.trained.fingerprints import (
  arrays_digest,
  files_digest,
)
from uncertainty_distill.trained.label_check import LabelCheck
from uncertainty_distill.trained.logits_cache import (
  FixedLogits,
  LogitsCache,
  StoredLogits,
  as_stored,
)
from uncertainty_distill.trained.stored_predictions import (
  is_predictions,
  probs_as_logits,
)
from uncertainty_distill.trained.trained_model import (
  Members,
  Run,
  SavedModel,
  StoredPredictions,
  TrainedModel,
  open_trained,
)
from uncertainty_distill.trained.weights import (
  TiedWeights,
  check_networks,
  pair_weights,
)
