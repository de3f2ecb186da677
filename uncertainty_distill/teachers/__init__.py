"""Teachers: models whose members' logits a student learns."""

from uncertainty_distill.teachers.cache import as_stored
from uncertainty_distill.teachers.cache import LogitsCache
from uncertainty_distill.teachers.fingerprints import arrays_digest
from uncertainty_distill.teachers.fingerprints import describe_teacher
from uncertainty_distill.teachers.loading import Ensemble
from uncertainty_distill.teachers.loading import is_saved_model
from uncertainty_distill.teachers.loading import load_ensemble
from uncertainty_distill.teachers.predictions import are_predictions
from uncertainty_distill.teachers.predictions import is_predictions
from uncertainty_distill.teachers.predictions import load_predictions
from uncertainty_distill.teachers.predictions import probs_as_logits
from uncertainty_distill.teachers.predictions import StoredLogits
from uncertainty_distill.teachers.predictions import StoredPredictions
from uncertainty_distill.teachers.weights import check_weights
from uncertainty_distill.teachers.weights import load_networks
from uncertainty_distill.teachers.weights import pair_weights
from uncertainty_distill.teachers.weights import read_network
from uncertainty_distill.teachers.weights import TiedWeights
