"""Plots metrics against the student's ensemble size (Figures 2 and 3)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from uncertainty_distill import errors
from uncertainty_distill.plots import style

import numpy as np
from matplotlib import axes, figure

_MAX_PANELS_PER_ROW = 3

# Maps metrics' names to students' labels, to sizes, to the values of the seeds.
Panels = Mapping[str, Mapping[str, Mapping[int, Sequence[float]]]]


def ensemble_sizes(
  panels: Panels,
  teacher: Mapping[str, float],
  teacher_size: int,
  teacher_label: str = 'deep_ensemble',
) -> figure.Figure:
  """Draws metrics against a student's number of members, one panel per metric.

  Lines join the means over seeds. Error bars extend one standard deviation over
  seeds to both sides; a single seed has no error bar. A star and a thin line
  across the panel mark the teacher's value.

  Args:
    panels: From a metric's name to students' labels, to numbers of members E,
      to the values of the metric, one for each seed. Non-finite values are left
      out.
    teacher: From a metric's name to the teacher's value, for the metrics whose
      value is known.
    teacher_size: The teacher's number of members M, at which its star is drawn.
    teacher_label: The teacher's label in the legend.

  Returns:
    The figure, with at most three panels in a row.

  Raises:
    InputError: There is no panel, or a panel without any value.
  """
  for name, lines in panels.items():
    if not any(len(v) for values in lines.values() for v in values.values()):
      raise errors.InputError(f'panel {name}', lines, 'at least one value')
  labels = style.all_labels(panels)
  sizes = sorted(
    {teacher_size}.union(*(v for p in panels.values() for v in p.values()))
  )
  fig, grid = style.panels(len(panels), _MAX_PANELS_PER_ROW, (3.3, 2.7))
  for ax, (name, lines) in zip(grid, panels.items()):
    for label, values in lines.items():
      _draw_line(ax, labels.index(label), len(labels), label, values)
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


def _draw_line(
  ax: axes.Axes,
  index: int,
  num_lines: int,
  label: str,
  values: Mapping[int, Sequence[float]],
) -> None:
  """Draws a student's line; `index` chooses its style and sideways shift."""
  finite = {
    size: [x for x in values[size] if math.isfinite(x)]
    for size in sorted(values)
  }
  finite = {size: seeds for size, seeds in finite.items() if seeds}
  if not finite:
    return
  # The lines are shifted a little, so that all error bars can be seen.
  aside = min(0.12, 0.6 / num_lines) * (index - (num_lines - 1) / 2)
  deviations = [
    np.std(seeds, ddof=1) if seeds[1:] else 0 for seeds in finite.values()
  ]
  ax.errorbar(
    [size + aside for size in finite],
    [np.mean(seeds) for seeds in finite.values()],
    yerr=deviations if any(deviations) else None,  # pyright: ignore[reportArgumentType]
    label=style.display_name(label),
    linewidth=1.4,
    elinewidth=1,
    markersize=4.5,
    capsize=2.5,
    **style.line_style(index),
  )
