"""Run folders: what they hold, and which run one belongs to."""

from uncertainty_distill.runs.run_folder import (
  PARAMS_FILE,
  RunFolder,
  check_data,
  claim_run,
  different_data,
  is_run,
  make_writable,
  match_run,
  noted_class_names,
  open_run,
)
from uncertainty_distill.runs.run_identity import (
  difference,
  map_paths,
  to_plain,
)
