"""Plots reliability diagrams: accuracy against confidence."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence

from uncertainty_distill.plots import style

import numpy as np
from matplotlib import axes, figure

_MAX_PANELS_PER_ROW = 4
_TITLE_WIDTH = 28  # Characters over one panel.

Bins = tuple[Sequence[float], Sequence[float], Sequence[float]]


def reliability_diagram(models: Mapping[str, Bins]) -> figure.Figure:
  """Draws accuracy against confidence, one panel per model.

  For each bin of confidence, a bar shows the accuracy, and a hatched bar shows
  the gap between the accuracy and the mean confidence. Below the bars, a
  histogram shows the share of examples in each bin. The title gives the
  expected calibration error: the sum over bins of
  `|bin_correct - bin_confidence|`, divided by the number of examples.

  Args:
    models: From a model's label to three sequences [bins]. Each holds sums over
      the examples in equal-width bins of [0, 1]: the number of examples, the
      sum of their confidences (the largest probabilities), and the number of
      correctly classified examples.

  Returns:
    The figure, at most four panels in a row.
  """
  columns = style.panels_per_row(len(models), _MAX_PANELS_PER_ROW)
  rows = math.ceil(len(models) / columns)
  size = (2.7 * columns + 0.5, 3.7 * rows + 0.4)
  fig = figure.Figure(figsize=size, layout='constrained')
  grid = fig.add_gridspec(
    2 * rows, columns, height_ratios=[3, 1.1] * rows, hspace=0.03
  )
  for index, (label, bins) in enumerate(models.items()):
    row, column = divmod(index, columns)
    upper = fig.add_subplot(grid[2 * row, column])
    lower = fig.add_subplot(grid[2 * row + 1, column], sharex=upper)
    _draw_reliability(upper, lower, label, bins, first=column == 0)
  style.legend(fig)
  return fig


def _draw_reliability(
  upper: axes.Axes, lower: axes.Axes, label: str, bins: Bins, first: bool
) -> None:
  """Draws a model's bars, and the histogram of its confidence below them."""
  count, confidence, correct = (np.asarray(sums, np.float64) for sums in bins)
  error = np.abs(correct - confidence).sum() / count.sum()
  used = count > 0
  centers = (np.arange(len(count)) + 0.5)[used] / len(count)
  accuracy = correct[used] / count[used]
  gap = confidence[used] / count[used] - accuracy
  _draw_bars(upper, centers, accuracy, gap, 1 / len(count))
  name = textwrap.fill(style.display_name(label), _TITLE_WIDTH)
  upper.set_title(f'{name}\nECE {error:.3f}', fontsize=10)
  upper.tick_params(labelbottom=False)

  lower.bar(
    centers,
    count[used] / count.sum(),
    1 / len(count),
    color='0.65',
    edgecolor='white',
    linewidth=0.5,
  )
  lower.set_ylim(0, 1)
  lower.set_xticks([0, 0.5, 1], ['0', '0.5', '1'])
  lower.set_yticks([0, 0.5, 1], ['0', '0.5', '1'])
  lower.set_xlabel('confidence', fontsize=9)
  if first:
    upper.set_ylabel('accuracy', fontsize=9)
    lower.set_ylabel('share', fontsize=9)
  style.plain(upper)
  style.plain(lower)


def _draw_bars(
  upper: axes.Axes,
  centers: np.ndarray,
  accuracy: np.ndarray,
  gap: np.ndarray,
  width: float,
) -> None:
  """Draws bars up to the accuracy, and from there bars up to the confidence."""
  upper.bar(
    centers,
    accuracy,
    width,
    color=style.SKY,
    edgecolor='white',
    linewidth=0.5,
    label='accuracy',
  )
  upper.bar(
    centers,
    gap,
    width * 0.82,
    bottom=accuracy,
    color='none',
    edgecolor=style.VERMILLION,
    hatch='////',
    linewidth=0.8,
    label='gap to confidence',
  )
  upper.plot(
    [0, 1], [0, 1], '--', color='0.35', linewidth=1, label='calibrated'
  )
  upper.set(xlim=(0, 1), ylim=(0, 1))
