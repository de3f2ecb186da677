"""Export of trained models for serving."""

from uncertainty_distill.serving.abstention import abstentions
from uncertainty_distill.serving.answers import predictions
from uncertainty_distill.serving.card import CARD_FILE
from uncertainty_distill.serving.card import Facts
from uncertainty_distill.serving.card import model_card
from uncertainty_distill.serving.class_names import class_names
from uncertainty_distill.serving.export import CLASS_NAMES_FILE
from uncertainty_distill.serving.export import export_saved_model
from uncertainty_distill.serving.export import EXTRA
from uncertainty_distill.serving.predicting import FilePredictor
from uncertainty_distill.serving.predicting import find_images
from uncertainty_distill.serving.predicting import Unreadable
from uncertainty_distill.serving.temperature import Calibration
from uncertainty_distill.serving.temperature import fit_temperature
from uncertainty_distill.serving.tflite import convert_to_tflite
from uncertainty_distill.serving.tflite import tflite_runner
