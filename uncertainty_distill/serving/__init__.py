"""Export of trained models for serving."""

from uncertainty_distill.serving.abstention import abstentions
from uncertainty_distill.serving.answers import predictions
from uncertainty_distill.serving.card import CARD_FILE, Facts, model_card
from uncertainty_distill.serving.class_names import class_names
from uncertainty_distill.serving.export import (
  CLASS_NAMES_FILE,
  EXTRA,
  export_saved_model,
)
from uncertainty_distill.serving.predicting import (
  FilePredictor,
  Unreadable,
  find_images,
)
from uncertainty_distill.serving.temperature import Calibration, fit_temperature
from uncertainty_distill.serving.tflite import convert_to_tflite, tflite_runner
