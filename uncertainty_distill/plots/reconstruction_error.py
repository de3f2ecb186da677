"""Plots how far an ensemble is from the closest BatchEnsemble, by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from uncertainty_distill.plots import style

import numpy as np
from matplotlib import figure

_BOUND = '0.35'


def reconstruction_errors(
  layers: Sequence[str],
  errors_by_rank: Mapping[str, Mapping[int, Sequence[float]]],
  bounds: Mapping[str, Sequence[float]],
) -> figure.Figure:
  """Draws relative reconstruction errors against the layers of a network.

  Each rank has one color and marker. The lines of the first group are solid;
  those of the next group are dashed and have hollow markers. A gray line across
  a layer marks the error that no rank falls below in this layer.

  Args:
    layers: The names of the layers, in order.
    errors_by_rank: From the name of a group of lines to ranks, to the relative
      error of each layer. The name of a group may be empty, so that the legend
      leaves it out.
    bounds: From the same names to each layer's bound, which no rank falls
      below.

  Returns:
    The figure, as wide as its layers need.
  """
  width = max(6.5, 1.2 + 0.33 * len(layers))
  fig = figure.Figure(figsize=(width, 5.4), layout='constrained')
  ax = fig.subplots()
  ranks = sorted(set().union(*errors_by_rank.values()))
  places = np.arange(len(layers))
  for group, (name, lines) in enumerate(errors_by_rank.items()):
    # The groups are shifted a little, because their lines may nearly coincide:
    # alignment may change little.
    at = places + 0.16 * (group - (len(errors_by_rank) - 1) / 2)
    looks = {rank: style.line_style(ranks.index(rank)) for rank in lines}
    _draw_group(ax, at, group, name, lines, looks, bounds[name])
  style.plain(ax)
  names = [style.display_name(name) for name in layers]
  ax.set_xticks(range(len(layers)), names, rotation=90)
  ax.set_xlim(-0.5, len(layers) - 0.5)
  ax.set_ylim(0, 1)
  ax.set_ylabel('relative reconstruction error', fontsize=9)
  style.legend(fig)
  return fig


def _draw_group(ax, at, group, name, lines, looks, bounds) -> None:
  """Draws the lines of a group, and the bound that no rank falls below."""
  note = f', {name}' if name else ''
  line = {'linestyle': style.LINES[group % len(style.LINES)]}
  for rank, values in lines.items():
    ax.plot(
      at,
      values,
      linewidth=0.8,
      markersize=5,
      markerfacecolor='white' if group else looks[rank]['color'],
      label=f'rank {rank}{note}',
      **(looks[rank] | line),
    )
  ax.hlines(
    bounds,
    at - 0.25,
    at + 0.25,
    color=_BOUND,
    linewidth=1.2,
    label=f'any rank, at least{note}',
    zorder=1,
    **line,
  )
