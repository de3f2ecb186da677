"""Whole studies: systems, seeds, and the tables and figures over them."""

from uncertainty_distill.studies.cost import estimate
from uncertainty_distill.studies.reading import read_study
from uncertainty_distill.studies.spec import Study
from uncertainty_distill.studies.study_figures import (
  draw_ensemble_sizes,
  draw_learning_curves,
)
from uncertainty_distill.studies.study_runner import run_study
