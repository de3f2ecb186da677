"""What type checkers read in place of `__init__.py`, which imports nothing."""

from uncertainty_distill.api.images import corrupt as corrupt
from uncertainty_distill.api.images import load_dataset as load_dataset
from uncertainty_distill.api.predicting import Predictions as Predictions
from uncertainty_distill.api.predicting import Predictor as Predictor
from uncertainty_distill.api.predicting import load as load
from uncertainty_distill.api.scoring import evaluate as evaluate
from uncertainty_distill.api.scoring import measure as measure
from uncertainty_distill.api.training import distill as distill
from uncertainty_distill.api.training import experiment as experiment
from uncertainty_distill.api.training import export as export
from uncertainty_distill.api.training import train as train
from uncertainty_distill.errors import InputError as InputError
