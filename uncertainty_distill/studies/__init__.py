"""Whole studies: systems, seeds, and the tables and figures over them."""

from uncertainty_distill.studies.comparison import compare
from uncertainty_distill.studies.comparison import describe_orderings
from uncertainty_distill.studies.comparison import orderings
from uncertainty_distill.studies.cost import estimate
from uncertainty_distill.studies.figures import draw_ensemble_sizes
from uncertainty_distill.studies.figures import draw_learning_curves
from uncertainty_distill.studies.paper import load_paper_tables
from uncertainty_distill.studies.paper import paper_rows
from uncertainty_distill.studies.reading import read_study
from uncertainty_distill.studies.runner import run_study
from uncertainty_distill.studies.spec import Study
