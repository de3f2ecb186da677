"""Whole studies: systems, seeds, and the table over them."""

from uncertainty_distill.studies.runner import run_study
from uncertainty_distill.studies.spec import read_study
from uncertainty_distill.studies.spec import Study
