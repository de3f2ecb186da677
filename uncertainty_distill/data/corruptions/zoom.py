"""Magnification about the center, as a sparse matrix over pixels."""

from __future__ import annotations

import math

import numpy as np
from scipy import sparse


def operator(height: int, width: int, factor: float) -> sparse.csr_array:
  """Returns the matrix that magnifies an image and keeps its size.

  The middle `ceil(side / factor)` pixels of each side are stretched linearly
  by the factor, corner to corner, and cut back to the side.

  Args:
    height: The height H in pixels.
    width: The width W in pixels.
    factor: At least 1.

  Returns:
    float64 [H*W, H*W], from the pixels of the image to those of the result.
  """
  return sparse.kron(_along(height, factor), _along(width, factor), 'csr')  # pyright: ignore[reportReturnType]


def apply(matrix: sparse.csr_array, values: np.ndarray) -> np.ndarray:
  """Applies a matrix [H*W,H*W] to each image of [B,H,W,C].

  The sum for a pixel is in the order of the matrix, regardless of the batch.
  """
  batch, height, width, channels = values.shape
  columns = np.moveaxis(values.reshape(batch, -1, channels), 0, 1)
  result = matrix @ columns.reshape(height * width, batch * channels)
  result = result.reshape(height * width, batch, channels)
  return np.moveaxis(result, 1, 0).reshape(values.shape)


def _along(side: int, factor: float) -> sparse.csr_array:
  """Returns the matrix that magnifies one axis, [side, side]."""
  cropped = math.ceil(side / factor)
  stretched = round(cropped * factor)
  first = (side - cropped) // 2
  trimmed = (stretched - side) // 2
  positions = np.arange(trimmed, trimmed + side)
  positions = positions * ((cropped - 1) / (stretched - 1))
  left = np.minimum(positions.astype(int), cropped - 2)
  share = positions - left
  rows = np.arange(side)
  return sparse.csr_array(
    (
      np.concatenate([1.0 - share, share]),
      (np.tile(rows, 2), first + np.concatenate([left, left + 1])),
    ),
    shape=(side, side),
  )
