"""What type checkers read in place of `__init__.py`, which imports nothing."""

from uncertainty_distill.api.experiments import distill as distill
from uncertainty_distill.api.experiments import experiment as experiment
from uncertainty_distill.api.experiments import export as export
from uncertainty_distill.api.experiments import train as train
from uncertainty_distill.api.image_data import corrupt as corrupt
from uncertainty_distill.api.image_data import load_dataset as load_dataset
from uncertainty_distill.api.measuring import evaluate as evaluate
from uncertainty_distill.api.measuring import measure as measure
from uncertainty_distill.api.predictor import Predictions as Predictions
from uncertainty_distill.api.predictor import Predictor as Predictor
from uncertainty_distill.api.predictor import load as load
from uncertainty_distill.errors import InputError as InputError
