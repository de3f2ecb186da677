"""Run folders: what they hold, and what makes a run the one it is."""

from uncertainty_distill.runs.identity import difference, plain, with_paths
from uncertainty_distill.runs.run_folder import (
  PARAMS_FILE,
  RunFolder,
  claim_run,
  is_run,
  make_writable,
  match_run,
  open_run,
)
