"""The public names of this package, for type checkers and `__init__.py`."""

from .aggregation import Aggregate as Aggregate
from .aggregation import aggregate_models as aggregate_models
from .aggregation import by_seed as by_seed
from .aggregation import summary as summary
from .baseline_errors import BASELINE as BASELINE
from .baseline_errors import read_errors as read_errors
from .baseline_errors import with_baseline as with_baseline
from .corruption_error import MCE as MCE
from .corruption_error import RELATIVE_MCE as RELATIVE_MCE
from .corruption_error import Errors as Errors
from .corruption_error import corruption_errors as corruption_errors
from .corruption_error import error_rates as error_rates
from .evaluator import Candidate as Candidate
from .evaluator import Evaluator as Evaluator
from .evaluator import count_parameters as count_parameters
from .prediction_scores import evaluate_predictions as evaluate_predictions
from .result_cache import RESULTS_FILE as RESULTS_FILE
from .result_cache import ResultCache as ResultCache
from .result_cache import find_results as find_results
from .results import Result as Result
from .results import read_json as read_json
from .system import Evaluation as Evaluation
from .system import ModelSize as ModelSize
from .system import System as System
from .system import default_experiment as default_experiment
from .system import evaluate_systems as evaluate_systems
