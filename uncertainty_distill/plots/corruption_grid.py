"""Plots one image under a corruption at each severity."""

from __future__ import annotations

from collections.abc import Sequence

from uncertainty_distill.plots import style

import numpy as np
from matplotlib import figure

_WIDTH, _TITLE = 3.5, 0.36  # Inches: of the figure, and above the images.


def severity_strip(
  name: str, severities: Sequence[int], images: np.ndarray
) -> figure.Figure:
  """Draws images side by side, with their severities above them.

  Args:
    name: The name of the corruption.
    severities: The severities of the S images, 0 for the clean one.
    images: uint8 [S, H, W, 3].

  Returns:
    A small figure, to be shown beside others.
  """
  size = _WIDTH, _TITLE + _WIDTH / max(len(images), 4)
  fig = figure.Figure(figsize=size, layout='constrained')
  fig.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.02)  # pyright: ignore[reportOptionalMemberAccess,reportCallIssue]
  fig.suptitle(style.display_name(name), fontsize=10)
  # At least four places, so that no image is wider than a fourth of the figure.
  panels = fig.subplots(1, max(len(images), 4), squeeze=False)[0]
  for ax in panels:
    ax.set_axis_off()
  for ax, severity, image in zip(panels, severities, images):
    ax.imshow(image, interpolation='nearest')
    ax.set_title(severity or 'clean', fontsize=8, pad=2)
  return fig
