"""Pictures of calibration, and of what corruption does to models."""

from matplotlib.figure import Figure
from uncertainty_distill.plots.heat_map import heat_maps
from uncertainty_distill.plots.reliability import Bins
from uncertainty_distill.plots.reliability import reliability_diagram
from uncertainty_distill.plots.severity import severity_boxes
from uncertainty_distill.plots.severity import severity_curves
from uncertainty_distill.plots.style import display_name
from uncertainty_distill.plots.style import figure_to_array
from uncertainty_distill.plots.style import save

__all__ = [
    'Bins',
    'Figure',
    'display_name',
    'figure_to_array',
    'heat_maps',
    'reliability_diagram',
    'save',
    'severity_boxes',
    'severity_curves',
]
