"""The public names of this package, for type checkers and `__init__.py`."""

from .corruption_grid import severity_strip as severity_strip
from .ensemble_size import ensemble_sizes as ensemble_sizes
from .heat_map import heat_maps as heat_maps
from .reconstruction_error import reconstruction_errors as reconstruction_errors
from .reliability import Bins as Bins
from .reliability import reliability_diagram as reliability_diagram
from .seed_curves import curves as curves
from .severity import severity_boxes as severity_boxes
from .severity import severity_curves as severity_curves
from .style import Figure as Figure
from .style import display_name as display_name
from .style import figure_to_array as figure_to_array
from .style import save as save
from .votes import member_votes as member_votes
