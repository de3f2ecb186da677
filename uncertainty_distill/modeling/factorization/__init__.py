"""Ensembles as BatchEnsembles: exactly where they are, else nearly."""

from uncertainty_distill.modeling.factorization.alignment import (
    aligned_weights,
)
from uncertainty_distill.modeling.factorization.comparison import (
    compare_layers,
    joint_error,
    LayerComparison,
)
from uncertainty_distill.modeling.factorization.factors import (
    Factors,
)
from uncertainty_distill.modeling.factorization.networks import (
    check_rank,
    initialize,
    NetworkReconstruction,
    reconstruct_network,
)
from uncertainty_distill.modeling.factorization.quotients import (
    hadamard_quotient,
    numerical_rank,
    quotient_ranks,
)
from uncertainty_distill.modeling.factorization.reconstruction import (
    reconstruct,
    Reconstruction,
)
from uncertainty_distill.modeling.factorization.theorem import (
    find_parameterization,
)
