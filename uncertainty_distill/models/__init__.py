"""Networks: plain networks, BatchEnsembles and deep ensembles."""

from uncertainty_distill.runtime import lazy_imports

__getattr__, __dir__, __all__ = lazy_imports.attach_stub(__name__)
