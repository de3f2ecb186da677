"""Pictures of calibration, corruption, training, ensembles and images."""

from uncertainty_distill.runtime import lazy_imports

# They need Matplotlib, which takes a while to import and is first needed when
# training has come to its first evaluation.
__getattr__ = lazy_imports.attributes(
  __name__,
  {
    'Bins': 'reliability',
    'Figure': 'style',
    'display_name': 'style',
    'ensemble_sizes': 'ensemble_size',
    'figure_to_array': 'style',
    'heat_maps': 'heat_map',
    'learning_curves': 'learning_curve',
    'member_votes': 'votes',
    'reconstruction_errors': 'reconstruction_error',
    'reliability_diagram': 'reliability',
    'save': 'style',
    'severity_boxes': 'severity',
    'severity_curves': 'severity',
    'severity_strip': 'corruption_grid',
  },
)
