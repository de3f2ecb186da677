"""The public names of this package, for type checkers and `__init__.py`."""

from .clusters import read_cluster as read_cluster
from .local_pools import ProcessPool as ProcessPool
from .local_pools import SerialPool as SerialPool
from .ray_pool import RayPool as RayPool
from .run_table import RunTable as RunTable
from .strategies import describe as describe
from .strategies import make_strategy as make_strategy
