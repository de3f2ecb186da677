"""What the commands do, step after step: train, evaluate, report, export."""

from uncertainty_distill.workflow.assessment import assess
from uncertainty_distill.workflow.assessment import RESULTS_FILE
from uncertainty_distill.workflow.checks import check
from uncertainty_distill.workflow.checks import check_initialization
from uncertainty_distill.workflow.checks import check_teacher
from uncertainty_distill.workflow.checks import check_weight_tie
from uncertainty_distill.workflow.checks import parse_shifts
from uncertainty_distill.workflow.checks import teacher_size
from uncertainty_distill.workflow.evaluating import described_by
from uncertainty_distill.workflow.evaluating import score
from uncertainty_distill.workflow.exporting import export
from uncertainty_distill.workflow.exporting import export_tflite
from uncertainty_distill.workflow.exporting import SAVED_MODEL
from uncertainty_distill.workflow.facts import class_names
from uncertainty_distill.workflow.reconstruction import reconstruct
from uncertainty_distill.workflow.systems import System
from uncertainty_distill.workflow.training import distill
from uncertainty_distill.workflow.training import train
