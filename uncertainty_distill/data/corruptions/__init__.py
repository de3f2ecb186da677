"""The 19 corruptions of CIFAR-10-C and ImageNet-C, by their formulas."""

from uncertainty_distill.runtime import lazy_imports

__getattr__, __dir__, __all__ = lazy_imports.attach_stub(__name__)
