"""Decoding of picture files, and folders of pictures as datasets."""

from uncertainty_distill.runtime import lazy_imports

__getattr__, __dir__, __all__ = lazy_imports.attach_stub(__name__)
