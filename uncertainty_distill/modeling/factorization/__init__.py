"""Ensembles as BatchEnsembles: exactly where they are, else nearly."""

from uncertainty_distill.modeling.factorization.alignment import (
  aligned_weights,
)
from uncertainty_distill.modeling.factorization.comparison import (
  LayerComparison,
  compare_layers,
  joint_error,
)
from uncertainty_distill.modeling.factorization.factors import (
  Factors,
)
from uncertainty_distill.modeling.factorization.networks import (
  NetworkReconstruction,
  check_rank,
  initialize,
  reconstruct_network,
)
from uncertainty_distill.modeling.factorization.quotients import (
  hadamard_quotient,
  numerical_rank,
  quotient_ranks,
)
from uncertainty_distill.modeling.factorization.reconstruction import (
  Reconstruction,
  reconstruct,
)
from uncertainty_distill.modeling.factorization.theorem import (
  find_parameterization,
)
