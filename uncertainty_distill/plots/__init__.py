"""Pictures of calibration, corruption, training, ensembles and images."""

import lazy_loader

# They need Matplotlib, which takes a while to import and is first needed when
# training has come to its first evaluation.
__getattr__, *_ = lazy_loader.attach(
  __name__,
  submod_attrs={
    'corruption_grid': ['severity_strip'],
    'ensemble_size': ['ensemble_sizes'],
    'heat_map': ['heat_maps'],
    'learning_curve': ['learning_curves'],
    'reconstruction_error': ['reconstruction_errors'],
    'reliability': ['Bins', 'reliability_diagram'],
    'severity': ['severity_boxes', 'severity_curves'],
    'style': ['Figure', 'display_name', 'figure_to_array', 'save'],
    'votes': ['member_votes'],
  },
)
