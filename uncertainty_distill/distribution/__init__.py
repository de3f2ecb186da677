"""Devices, workers and their shares of a batch."""

from uncertainty_distill.distribution.clusters import read_cluster
from uncertainty_distill.distribution.strategies import (
  describe,
  device_type,
  make_strategy,
)
