"""Evaluation on clean and corrupted test sets, and what is made of it."""

from uncertainty_distill.evaluation.curves import read_curves
from uncertainty_distill.evaluation.curves import read_scalars
from uncertainty_distill.evaluation.evaluator import Candidate
from uncertainty_distill.evaluation.evaluator import count_parameters
from uncertainty_distill.evaluation.evaluator import evaluate
from uncertainty_distill.evaluation.evaluator import Evaluator
from uncertainty_distill.evaluation.pictures import available_pictures
from uncertainty_distill.evaluation.report import write_report
from uncertainty_distill.evaluation.results import FIGURES
from uncertainty_distill.evaluation.results import read_json
from uncertainty_distill.evaluation.results import Result
from uncertainty_distill.evaluation.results import write_csv
from uncertainty_distill.evaluation.results import write_json
from uncertainty_distill.evaluation.significance import best
from uncertainty_distill.evaluation.summaries import Aggregate
from uncertainty_distill.evaluation.summaries import aggregate_models
from uncertainty_distill.evaluation.summaries import by_model
from uncertainty_distill.evaluation.summaries import by_seed
from uncertainty_distill.evaluation.summaries import summary
from uncertainty_distill.evaluation.tables import COLUMNS
from uncertainty_distill.evaluation.tables import figure_cell
from uncertainty_distill.evaluation.tables import higher_is_better
from uncertainty_distill.evaluation.tables import markdown_table
from uncertainty_distill.evaluation.tables import MISSING
from uncertainty_distill.evaluation.tables import ModelSize
from uncertainty_distill.evaluation.tables import table
