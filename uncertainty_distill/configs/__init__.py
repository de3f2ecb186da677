"""Experiment configurations: dataclasses, registered experiments, parsing."""

from uncertainty_distill.runtime import lazy_imports

# All of official.core is imported at once, with an input reader that imports
# TFDS; this package reads datasets in its own way, and some need no TFDS.
lazy_imports.defer('tensorflow_datasets')

__getattr__, __dir__, __all__ = lazy_imports.attach_stub(__name__)
