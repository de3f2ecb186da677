"""Teachers: models whose members' logits a student learns."""

from uncertainty_distill.teachers.cache import LogitsCache, as_stored
from uncertainty_distill.teachers.fingerprints import (
  arrays_digest,
  describe_teacher,
)
from uncertainty_distill.teachers.loading import (
  Ensemble,
  is_saved_model,
  load_ensemble,
)
from uncertainty_distill.teachers.predictions import (
  StoredLogits,
  StoredPredictions,
  are_predictions,
  is_predictions,
  load_predictions,
  probs_as_logits,
)
from uncertainty_distill.teachers.weights import (
  TiedWeights,
  check_weights,
  load_networks,
  pair_weights,
  read_network,
)
