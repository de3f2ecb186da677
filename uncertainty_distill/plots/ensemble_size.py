"""Plots metrics against the student's ensemble size (Figures 2 and 3)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from uncertainty_distill.plots import style

import numpy as np
from matplotlib import axes, figure

_MAX_PANELS_PER_ROW = 3


def ensemble_sizes(
  panels: Mapping[str, Mapping[int, Sequence[float]]],
  teacher: Mapping[str, float],
  teacher_size: int,
  teacher_label: str,
) -> figure.Figure:
  """Draws metrics against the student's number of members, a panel for each.

  Lines join the means over seeds. Error bars extend one standard deviation over
  seeds to both sides; a single seed has no error bar. A star and a thin line
  across the panel mark the teacher's value.

  Args:
    panels: From a metric's name to the student's numbers of members E, to the
      values of the metric, one for each seed. A number of members is left out
      if the value of a seed is not finite, because a mean over fewer seeds
      would mislead.
    teacher: From a metric's name to the teacher's value, for the metrics whose
      value is known.
    teacher_size: The teacher's number of members M, at which its star is drawn.
    teacher_label: The teacher's label in the legend.

  Returns:
    The figure, with at most three panels in a row.
  """
  sizes = sorted({teacher_size}.union(*panels.values()))
  fig, grid = style.panels(len(panels), _MAX_PANELS_PER_ROW, (3.3, 2.7))
  for ax, (name, values) in zip(grid, panels.items()):
    _draw_student(ax, values)
    if math.isfinite(teacher.get(name, math.nan)):
      ax.axhline(teacher[name], color='0.45', linewidth=0.8, zorder=1)
      ax.plot(
        [teacher_size],
        [teacher[name]],
        '*',
        color='black',
        markersize=11,
        label=f'{style.display_name(teacher_label)} (teacher)',
        zorder=4,
      )
    style.plain(ax)
    ax.set_title(name, fontsize=11)
    ax.set_xlim(sizes[0] - 0.4, sizes[-1] + 0.4)
    ax.set_xticks(sizes)
    ax.set_xlabel('members of the student', fontsize=9)
  style.legend(fig)
  return fig


def _draw_student(ax: axes.Axes, values: Mapping[int, Sequence[float]]) -> None:
  """Draws the means over seeds and their deviations."""
  known = {
    size: values[size]
    for size in sorted(values)
    if values[size] and all(map(math.isfinite, values[size]))
  }
  if not known:
    return
  deviations = [
    np.std(seeds, ddof=1) if seeds[1:] else 0 for seeds in known.values()
  ]
  ax.errorbar(
    list(known),
    [np.mean(seeds) for seeds in known.values()],
    yerr=deviations if any(deviations) else None,  # pyright: ignore[reportArgumentType]
    label='Student',
    linewidth=1.4,
    elinewidth=1,
    markersize=4.5,
    capsize=2.5,
    **style.line_style(0),
  )
