"""Run folders: what they hold, and which run each belongs to."""

from uncertainty_distill.runtime import lazy_imports

__getattr__, __dir__, __all__ = lazy_imports.attach_stub(__name__)
