"""Evaluation on clean and corrupted test sets, and what is made of it."""

from uncertainty_distill.evaluation import corrupted_image, least_sure
from uncertainty_distill.evaluation.comparison import (
  compare,
  describe_orderings,
  orderings,
)
from uncertainty_distill.evaluation.curves import read_curves, read_scalars
from uncertainty_distill.evaluation.evaluator import (
  Candidate,
  Evaluator,
  count_parameters,
  evaluate,
)
from uncertainty_distill.evaluation.markup import escaped
from uncertainty_distill.evaluation.meanings import MEANINGS
from uncertainty_distill.evaluation.page import REPORT_PAGE, write_page
from uncertainty_distill.evaluation.paper import (
  beside_paper,
  load_paper_tables,
  paper_rows,
)
from uncertainty_distill.evaluation.pictures import Picture, available_pictures
from uncertainty_distill.evaluation.report import write_report
from uncertainty_distill.evaluation.results import (
  FIGURES,
  Result,
  read_json,
  write_csv,
  write_json,
)
from uncertainty_distill.evaluation.significance import best
from uncertainty_distill.evaluation.stored import evaluate_predictions
from uncertainty_distill.evaluation.summaries import (
  Aggregate,
  aggregate_models,
  by_model,
  by_seed,
  summary,
)
from uncertainty_distill.evaluation.tables import (
  COLUMNS,
  MISSING,
  ModelSize,
  figure_cell,
  higher_is_better,
  markdown_table,
  table,
)
