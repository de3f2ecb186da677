"""Export of trained models for serving."""

from uncertainty_distill.serving.class_names import class_names
from uncertainty_distill.serving.export import CLASS_NAMES_FILE
from uncertainty_distill.serving.export import export_saved_model
from uncertainty_distill.serving.export import EXTRA
from uncertainty_distill.serving.images import decode_image
