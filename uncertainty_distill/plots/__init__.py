"""Pictures of calibration, and of what corruption does to models."""

import importlib
from typing import Any

# They need Matplotlib, which takes a while to import and is first needed when
# training has come to its first evaluation.
_ON_REQUEST = {
    'Bins': 'reliability',
    'Figure': 'style',
    'display_name': 'style',
    'figure_to_array': 'style',
    'heat_maps': 'heat_map',
    'reliability_diagram': 'reliability',
    'save': 'style',
    'severity_boxes': 'severity',
    'severity_curves': 'severity',
}


def __getattr__(name: str) -> Any:
  if name not in _ON_REQUEST:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  module = importlib.import_module(f'{__name__}.{_ON_REQUEST[name]}')
  return getattr(module, name)
