"""The public names of this package, for type checkers and `__init__.py`."""

from .batch_function import BatchFunction as BatchFunction
from .batch_function import apply as apply
from .fingerprints import arrays_digest as arrays_digest
from .fingerprints import files_digest as files_digest
from .label_check import LabelCheck as LabelCheck
from .learned_rows import learned_rows as learned_rows
from .logits_cache import FixedLogits as FixedLogits
from .logits_cache import LogitsCache as LogitsCache
from .logits_cache import StoredLogits as StoredLogits
from .logits_cache import as_stored as as_stored
from .opening import check_mergeable as check_mergeable
from .opening import merge_members as merge_members
from .opening import open_trained as open_trained
from .prediction_set_fits import calibrate_sets as calibrate_sets
from .prediction_set_fits import check_set_options as check_set_options
from .stored_predictions import is_predictions as is_predictions
from .stored_predictions import probs_as_logits as probs_as_logits
from .temperature_fits import check_examples as check_examples
from .temperature_fits import fit_temperature as fit_temperature
from .trained_model import MergedRun as MergedRun
from .trained_model import Run as Run
from .trained_model import SavedModel as SavedModel
from .trained_model import StoredPredictions as StoredPredictions
from .trained_model import TrainedModel as TrainedModel
from .weights import check_networks as check_networks
from .weights import pair_weights as pair_weights
