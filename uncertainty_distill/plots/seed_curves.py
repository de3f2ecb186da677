"""Plots curves over seeds: learning curves (Figure 1) and risk-coverage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from uncertainty_distill.plots import style

import numpy as np
from matplotlib import axes, figure

_MAX_PANELS_PER_ROW = 3

# Maps panels' names to systems' labels, to a curve for each seed. A curve maps
# places on the horizontal axis to values.
Panels = Mapping[str, Mapping[str, Sequence[Mapping[float, float]]]]


def curves(
  panels: Panels, x_label: str, log_scale: Sequence[str] = ()
) -> figure.Figure:
  """Draws curves of several systems and seeds, one panel per metric.

  Lines are means over seeds. Bands extend from the smallest to the largest
  value. If the value of a seed is non-finite, the line of its system has a gap.

  Args:
    panels: From a metric's name to systems' labels, to the curves of the seeds,
      which map x to values. An x is left out if any of the system's seeds lacks
      it, because the mean would jump where a seed is missing.
    x_label: What the horizontal axis shows.
    log_scale: The names of the metrics whose axis is logarithmic.

  Returns:
    The figure, with at most three panels in a row.
  """
  labels = style.all_labels(panels)
  fig, grid = style.panels(len(panels), _MAX_PANELS_PER_ROW, (3.6, 2.8))
  for ax, (name, lines) in zip(grid, panels.items()):
    for label, seeds in lines.items():
      _draw_line(ax, labels.index(label), label, seeds)
    style.plain(ax)
    if name in log_scale:
      style.logarithmic(ax)
    ax.set_title(name, fontsize=11)
    ax.set_xlim(left=0)
    ax.set_xlabel(x_label, fontsize=9)
  style.legend(fig)
  return fig


def _draw_line(
  ax: axes.Axes,
  index: int,
  label: str,
  seeds: Sequence[Mapping[float, float]],
) -> None:
  """Draws one system's mean and band; `index` chooses their style."""
  known = [set(curve) for curve in seeds]
  places = sorted(set.intersection(*known)) if known else []
  if not places:
    return
  values = np.array([[curve[x] for x in places] for curve in seeds], np.float64)
  values[:, ~np.isfinite(values).all(axis=0)] = np.nan
  look = style.line_style(index)
  if len(seeds) > 1:
    ax.fill_between(
      places,
      values.min(axis=0),
      values.max(axis=0),
      color=look['color'],
      alpha=0.2,
      linewidth=0,
    )
  # Markers would hide a curve of hundreds of points, but they help to tell
  # apart curves of ten points.
  few, many = len(places) <= 12, len(places) > 200
  ax.plot(
    places,
    values.mean(axis=0),
    linewidth=0.8 if many else 1.4,
    label=style.display_name(label),
    markersize=3.5,
    **(look if few else {**look, 'marker': None}),  # pyright: ignore[reportArgumentType]
  )
