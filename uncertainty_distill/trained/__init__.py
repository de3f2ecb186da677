"""Trained models as teachers: runs, SavedModels, stored predictions."""

from uncertainty_distill.trained.fingerprints import (
  arrays_digest,
  describe_teacher,
)
from uncertainty_distill.trained.loading import (
  Ensemble,
  is_saved_model,
  load_ensemble,
)
from uncertainty_distill.trained.logits_cache import LogitsCache, as_stored
from uncertainty_distill.trained.stored_predictions import (
  StoredLogits,
  StoredPredictions,
  are_predictions,
  is_predictions,
  load_predictions,
  probs_as_logits,
)
from uncertainty_distill.trained.weights import (
  TiedWeights,
  check_weights,
  load_networks,
  pair_weights,
  read_network,
)
