"""What the commands do, step after step: train, evaluate, report, export."""

from uncertainty_distill.workflow.assessment import RESULTS_FILE, assess
from uncertainty_distill.workflow.checks import (
  check,
  check_initialization,
  check_teacher,
  check_weight_tie,
  parse_shifts,
  teacher_size,
)
from uncertainty_distill.workflow.evaluating import described_by, score
from uncertainty_distill.workflow.exporting import (
  SAVED_MODEL,
  export,
  export_tflite,
)
from uncertainty_distill.workflow.facts import class_names
from uncertainty_distill.workflow.reconstruction import reconstruct
from uncertainty_distill.workflow.systems import System
from uncertainty_distill.workflow.training import distill, train
