"""Colors, names, legends and PNG files that all plots share.

Figures are built without pyplot, from `matplotlib.figure.Figure` and the Agg
canvas, so that no global state changes and any thread may draw. The colors are
those of Okabe and Ito, which color-blind readers can tell apart. Each model
also has its own marker and line style.
"""

from __future__ import annotations

import io
import math
import os
import re
from collections.abc import Mapping
from typing import Any

from uncertainty_distill.io import files

import numpy as np
from matplotlib import axes, figure, ticker
from matplotlib.backends import backend_agg
from matplotlib.figure import Figure  # noqa: F401
from PIL import Image

VERMILLION, SKY = '#D55E00', '#56B4E9'
COLORS = (
  '#0072B2',
  VERMILLION,
  '#009E73',
  '#CC79A7',
  '#E69F00',
  SKY,
  '#000000',
)
LINES = ('-', '--', '-.', ':')
_MARKERS = ('o', 's', '^', 'D', 'v')

_DPI = 110


def display_name(label: str) -> str:
  """Returns a label for readers: `Tied head 0.01` for `tied_head_0_01`."""
  words = re.sub(r'(?<=_)(\d+)_(\d+)', r'\1.\2', label).replace('_', ' ')
  return words[:1].upper() + words[1:]


def line_style(index: int) -> dict[str, Any]:
  """Returns the color, line style and marker of the model with this index."""
  return {
    'color': COLORS[index % len(COLORS)],
    'linestyle': LINES[index % len(LINES)],
    'marker': _MARKERS[index % len(_MARKERS)],
  }


def all_labels(panels: Mapping[str, Mapping[str, Any]]) -> list[str]:
  """Returns the labels in all panels, in order of appearance."""
  return list(
    dict.fromkeys(label for lines in panels.values() for label in lines)
  )


def panels_per_row(count: int, most: int) -> int:
  """Returns how many panels to put in a row.

  There are as few rows as possible, and their lengths are as even as possible.

  Args:
    count: The number of panels.
    most: The largest number of panels in a row.
  """
  rows = math.ceil(count / most)
  return math.ceil(count / rows)


def panels(
  count: int, most: int, size: tuple[float, float]
) -> tuple[figure.Figure, list[axes.Axes]]:
  """Returns a figure with room for a legend, and its panels in reading order.

  Args:
    count: The number of panels.
    most: The largest number of panels in a row.
    size: The width and height of each panel, in inches.
  """
  columns = panels_per_row(count, most)
  rows = math.ceil(count / columns)
  fig = figure.Figure(
    figsize=(size[0] * columns + 0.2, size[1] * rows + 0.5),
    layout='constrained',
  )
  grid = fig.subplots(rows, columns, squeeze=False)
  for ax in grid.flat[count:]:
    ax.set_visible(False)
  return fig, list(grid.flat[:count])


def figure_to_array(fig: figure.Figure) -> np.ndarray:
  """Returns the figure's pixels, uint8 [H, W, 4] (RGBA), for TensorBoard."""
  canvas = backend_agg.FigureCanvasAgg(fig)
  canvas.draw()
  return np.array(canvas.buffer_rgba(), dtype=np.uint8)


def save(fig: figure.Figure, path: str | os.PathLike[str]) -> None:
  """Writes a PNG file, which is replaced whole or not at all.

  Args:
    fig: The figure.
    path: The file, in a folder that exists.

  Raises:
    OSError: The file cannot be written.
  """
  # The figure is drawn in memory first, so that an error leaves no file behind.
  image = io.BytesIO()
  canvas = backend_agg.FigureCanvasAgg(fig)
  canvas.print_figure(image, format='png', dpi=_DPI)
  # With a palette of 256 colors, which is enough for these pictures, the file
  # has a third of the size. Small files matter because reports are kept and
  # sent.
  whole = Image.open(image).convert('RGB')
  image = io.BytesIO()
  palette = whole.quantize(256, Image.Quantize.MEDIANCUT)
  palette.save(image, 'png', optimize=True)
  files.write_bytes(path, image.getvalue())


def legend(fig: figure.Figure) -> None:
  """Adds one legend below the panels, with each label of any panel once."""
  handles = {
    name: handle
    for ax in fig.axes
    for handle, name in zip(*ax.get_legend_handles_labels())
  }
  if not handles:
    return
  # The number of columns is limited, because nothing else keeps a legend from
  # running off both sides.
  inches = 0.6 + 0.075 * max(map(len, handles))
  fig.legend(
    handles.values(),
    handles,
    loc='outside lower center',
    frameon=False,
    fontsize=9,
    ncols=max(1, int(fig.get_figwidth() / inches)),
  )


def logarithmic(ax: axes.Axes) -> None:
  """Makes the vertical axis of a panel, whose lines are drawn, logarithmic.

  With only powers of ten, it could have just one number or none.
  """
  ax.set_yscale('log')
  low, high = ax.get_ylim()
  subs = (1, 1.2, 1.5, 2, 3, 5, 7)
  if high > 3 * low:
    subs = (1, 3) if high > 10 * low else (1, 2, 5)
  ax.yaxis.set_major_locator(ticker.LogLocator(subs=subs))
  ax.yaxis.set_major_formatter('{x:g}')
  ax.yaxis.set_minor_formatter('')


def plain(ax: axes.Axes) -> None:
  """Removes all decoration but two axes and a faint grid."""
  ax.spines[['top', 'right']].set_visible(False)
  ax.grid(axis='y', color='0.9', linewidth=0.7)
  ax.set_axisbelow(True)
  ax.tick_params(labelsize=8)
