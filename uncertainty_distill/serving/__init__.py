"""Export of trained models for serving."""

from uncertainty_distill.serving.export import export_saved_model
