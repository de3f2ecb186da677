"""Devices, workers, their shares of a batch, and pools that run jobs."""

from uncertainty_distill.runtime import lazy_imports

__getattr__, __dir__, __all__ = lazy_imports.attach_stub(__name__)
