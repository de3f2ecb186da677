"""Ensembles as BatchEnsembles: exactly, where they are, and as nearly as can be."""

from uncertainty_distill.modeling.factorization.alignment import aligned_weights
from uncertainty_distill.modeling.factorization.factors import Factors
from uncertainty_distill.modeling.factorization.networks import initialize
from uncertainty_distill.modeling.factorization.networks import NetworkReconstruction
from uncertainty_distill.modeling.factorization.networks import reconstruct_network
from uncertainty_distill.modeling.factorization.quotients import hadamard_quotient
from uncertainty_distill.modeling.factorization.quotients import numerical_rank
from uncertainty_distill.modeling.factorization.quotients import quotient_ranks
from uncertainty_distill.modeling.factorization.reconstruction import reconstruct
from uncertainty_distill.modeling.factorization.reconstruction import Reconstruction
from uncertainty_distill.modeling.factorization.theorem import find_parameterization
