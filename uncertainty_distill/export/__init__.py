"""Export of trained models for serving."""

from uncertainty_distill.export.abstention import abstentions
from uncertainty_distill.export.exporting import (
  SAVED_MODEL,
  export,
  export_tflite,
)
from uncertainty_distill.export.file_predictor import (
  FilePredictor,
  Unreadable,
  find_images,
)
from uncertainty_distill.export.model_card import CARD_FILE, Facts, model_card
from uncertainty_distill.export.model_card_data import class_names
from uncertainty_distill.export.predictive_distribution import predictions
from uncertainty_distill.export.saved_model import (
  CLASS_NAMES_FILE,
  EXTRA,
  export_saved_model,
)
from uncertainty_distill.export.temperature import Calibration, fit_temperature
from uncertainty_distill.export.tflite import convert_to_tflite, tflite_runner
