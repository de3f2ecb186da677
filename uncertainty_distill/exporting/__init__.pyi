"""The public names of this package, for type checkers and `__init__.py`."""

from .abstention import abstentions as abstentions
from .keras_export import export_model as export_model
from .model_card import ModelCard as ModelCard
from .predictive_distribution import outputs_from_logits as outputs_from_logits
from .run_export import SAVED_MODEL as SAVED_MODEL
from .run_export import ExportOptions as ExportOptions
from .run_export import check_replaceable as check_replaceable
from .run_export import check_tflite_file as check_tflite_file
from .run_export import compare_merged as compare_merged
from .run_export import export as export
from .run_export import export_tflite as export_tflite
from .saved_model import export_saved_model as export_saved_model
from .tflite import convert_to_tflite as convert_to_tflite
from .tflite import tflite_runner as tflite_runner
