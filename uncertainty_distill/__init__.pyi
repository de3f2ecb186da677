"""The public names: for type checkers, and for `__init__.py` to look up."""

from .api.experiments import distill as distill
from .api.experiments import experiment as experiment
from .api.experiments import export as export
from .api.experiments import train as train
from .api.image_data import corrupt as corrupt
from .api.image_data import load_dataset as load_dataset
from .api.keras_networks import batch_ensemble as batch_ensemble
from .api.keras_networks import member as member
from .api.measuring import evaluate as evaluate
from .api.measuring import measure as measure
from .api.predictor import Predictions as Predictions
from .api.predictor import Predictor as Predictor
from .api.predictor import load as load
from .errors import InputError as InputError
from .losses.keras_losses import MemberCrossEntropy as MemberCrossEntropy
from .metrics.keras_metrics import EnsembleMetrics as EnsembleMetrics

__version__: str
