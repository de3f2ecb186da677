"""Export of trained models for serving."""

from uncertainty_distill.exporting.abstention import abstentions
from uncertainty_distill.exporting.model_card import ModelCard
from uncertainty_distill.exporting.predictive_distribution import (
  outputs_from_logits,
)
from uncertainty_distill.exporting.run_export import (
  SAVED_MODEL,
  check_tflite_file,
  export,
  export_tflite,
)
from uncertainty_distill.exporting.saved_model import export_saved_model
from uncertainty_distill.exporting.tflite import (
  convert_to_tflite,
  tflite_runner,
)
