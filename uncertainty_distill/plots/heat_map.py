"""Plots heat maps of a metric for every corruption at every severity."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence

from uncertainty_distill.plots import style

import numpy as np
from matplotlib import axes, colorbar, colors, figure

_MAX_PANELS_PER_ROW = 5
_CELL = (0.38, 0.235)  # Inches.
# The least width of a panel, and the width of a letter of its title, in inches.
_NARROWEST, _LETTER = 1.0, 0.07
_UNKNOWN = '0.92'
# From white, where a model is good, to a dark blue on which white text is
# readable.
_GOOD_TO_BAD = colors.LinearSegmentedColormap.from_list(
  'good_to_bad', ['#FFFFFF', style.SKY, style.COLORS[0], '#00263D']
)

Cells = Mapping[str, Mapping[int, float]]


def heat_maps(
  name: str,
  models: Mapping[str, Cells],
  higher_is_better: bool | None = False,
  log_scale: bool = False,
) -> figure.Figure:
  """Draws a metric by corruption and severity, one panel per model.

  All panels share one color scale, from white (the best value in any panel) to
  dark (the worst). Each cell shows its value as a number.

  Args:
    name: The name of the metric.
    models: From a model's label to corruptions' names, to severities, to the
      value of the metric. Missing and non-finite values stay gray.
    higher_is_better: Whether the largest value is the best.
    log_scale: Whether the color scale is logarithmic, for positive values that
      span several orders of magnitude.

  Returns:
    The figure, with at most five panels in a row.
  """
  rows = list(dict.fromkeys(c for cells in models.values() for c in cells))
  severities = sorted(
    {s for cells in models.values() for row in cells.values() for s in row}
  )
  grids = {
    label: _grid(cells, rows, severities) for label, cells in models.items()
  }
  norm = _norm(np.stack(list(grids.values())), log_scale)
  columns = style.panels_per_row(len(grids), _MAX_PANELS_PER_ROW)
  lines = math.ceil(len(grids) / columns)
  width = max(_CELL[0] * len(severities), _NARROWEST)
  fig = figure.Figure(
    figsize=(
      1.8 + columns * (width + 0.15),
      0.4 + lines * (_CELL[1] * len(rows) + 0.8),
    ),
    layout='constrained',
  )
  palette = _GOOD_TO_BAD.reversed() if higher_is_better else _GOOD_TO_BAD
  palette = palette.with_extremes(bad=_UNKNOWN)
  panels = fig.subplots(lines, columns, squeeze=False)
  names = [style.display_name(row) for row in rows]
  for index, (label, grid) in enumerate(grids.items()):
    ax = panels[divmod(index, columns)]
    picture = ax.imshow(grid, palette, norm, aspect='auto')
    _write_values(ax, grid, picture.to_rgba(grid))
    _style_panel(ax, label, int(width / _LETTER))
    ax.set_xticks(range(len(severities)), severities)
    ax.set_yticks(range(len(rows)), [] if index % columns else names)
  for ax in panels.flat[len(grids) :]:
    ax.set_visible(False)
  fig.supxlabel('severity', fontsize=9)
  bar = fig.colorbar(picture, ax=panels, fraction=0.02, pad=0.01, aspect=30)
  _style_scale(bar, name)
  return fig


def _style_panel(ax, label: str, letters: int) -> None:
  title = textwrap.fill(style.display_name(label), letters)
  ax.set_title(title, fontsize=9)
  ax.tick_params(length=0, labelsize=8)
  ax.spines[:].set_visible(False)


def _grid(
  cells: Cells, rows: Sequence[str], severities: Sequence[int]
) -> np.ndarray:
  """Returns the values, float64 [rows, severities]; NaN for missing values."""
  values = np.array(
    [[cells.get(r, {}).get(s, np.nan) for s in severities] for r in rows],
    np.float64,
  )
  return np.where(np.isfinite(values), values, np.nan)


def _norm(values: np.ndarray, log_scale: bool) -> colors.Normalize:
  """Returns the scale from the smallest to the largest of the values."""
  known = values[np.isfinite(values)]
  if log_scale:
    known = known[known > 0]
  if not len(known):
    return colors.Normalize(0, 1)
  kind = colors.LogNorm if log_scale else colors.Normalize
  return kind(known.min(), known.max(), clip=True)


def _style_scale(bar: colorbar.Colorbar, name: str) -> None:
  """Labels the color scale."""
  bar.set_label(name, fontsize=9)
  bar.ax.tick_params(labelsize=8)
  bar.ax.yaxis.set_major_formatter('{x:g}')
  bar.ax.yaxis.set_minor_formatter('')
  bar.outline.set_visible(False)


def _write_values(ax: axes.Axes, grid: np.ndarray, shades: np.ndarray) -> None:
  """Writes each cell's value, in black or white, whichever is more readable."""
  luminance = shades[..., :3] @ (0.299, 0.587, 0.114)
  for (row, column), value in np.ndenumerate(grid):
    if np.isfinite(value):
      ax.text(
        column,
        row,
        f'{value:.2f}' if value < 9.995 else f'{value:.1f}',
        ha='center',
        va='center',
        fontsize=7,
        color='black' if luminance[row, column] > 0.5 else 'white',
      )
