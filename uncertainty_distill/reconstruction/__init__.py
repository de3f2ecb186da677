"""Represents ensembles as BatchEnsembles, exactly if possible, else nearly."""

from uncertainty_distill.reconstruction.alignment import aligned_weights
from uncertainty_distill.reconstruction.factors import Factors
from uncertainty_distill.reconstruction.layer_errors import (
  LayerComparison,
  compare_layers,
  joint_error,
)
from uncertainty_distill.reconstruction.least_squares import reconstruct
from uncertainty_distill.reconstruction.networks import (
  NetworkReconstruction,
  initialize,
  paired_kernels,
  reconstruct_network,
)
from uncertainty_distill.reconstruction.theorem import (
  Verdict,
  find_parameterization,
  hadamard_quotient,
  numerical_rank,
  quotient_ranks,
)
