"""Plots metrics against the severity of a corruption, as lines and boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from uncertainty_distill.plots import style

import numpy as np
from matplotlib import axes, figure

Panels = Mapping[str, Mapping[str, Mapping[int, Sequence[float]]]]


def severity_curves(panels: Panels) -> figure.Figure:
  """Draws metrics against the severity of a corruption, one panel per metric.

  Lines join the means over corruption types. Vertical bars span the range from
  the lower to the upper quartile of the types. The models are shifted a little,
  so that all bars can be seen.

  Args:
    panels: From a metric's name to models' labels, to severities (0 for clean
      images), to the values of the metric, one for each type of corruption. A
      model without severities is not drawn, and does not change the styles of
      the other models.

  Returns:
    The figure, with its panels side by side.
  """
  labels = style.all_labels(panels)
  size = (3.6 * len(panels) + 0.2, 3.9)
  fig = figure.Figure(figsize=size, layout='constrained')
  for ax, (name, lines) in zip(
    np.ravel(fig.subplots(1, len(panels), squeeze=False)), panels.items()
  ):
    for label, values in lines.items():
      if values:
        _draw_severities(ax, labels.index(label), len(labels), label, values)
    style.plain(ax)
    severities = sorted(set().union(*lines.values()))
    ax.set_xticks(severities, ['clean' if s == 0 else s for s in severities])
    ax.set_title(name, fontsize=11)
    ax.set_xlabel('severity', fontsize=9)
  style.legend(fig)
  return fig


def severity_boxes(
  panels: Panels, log_scale: Sequence[str] = ()
) -> figure.Figure:
  """Draws the spread of metrics over corruption types, one panel per metric.

  At each severity, every model has a box from the lower to the upper quartile
  of the corruption types, with a line at the median and whiskers to the
  smallest and the largest value. On clean images, every model has a dot.

  Args:
    panels: The values, as for `severity_curves`. Non-finite values are left
      out.
    log_scale: The names of the metrics whose axis is logarithmic. These metrics
      are positive and span several orders of magnitude, so on a linear axis the
      boxes that matter would be flat.

  Returns:
    The figure, with its panels one above the other.
  """
  labels = style.all_labels(panels)
  severities = sorted(
    set().union(*(v for lines in panels.values() for v in lines.values()))
  )
  width = min(14.0, max(6.5, 2.0 + 0.2 * len(labels) * len(severities) + 2.0))
  size = (width, 2.5 * len(panels) + 0.5)
  fig = figure.Figure(figsize=size, layout='constrained')
  for ax, (name, lines) in zip(
    np.ravel(fig.subplots(len(panels), 1, squeeze=False, sharex=True)),
    panels.items(),
  ):
    for label, values in lines.items():
      _draw_boxes(ax, labels.index(label), len(labels), label, values)
    style.plain(ax)
    if name in log_scale:
      style.logarithmic(ax)
    ax.set_ylabel(name, fontsize=10)
    ax.set_xlim(severities[0] - 0.5, severities[-1] + 0.5)
    ax.set_xticks(severities, ['clean' if s == 0 else s for s in severities])
    for left in severities[1:]:
      ax.axvline(left - 0.5, color='0.85', linewidth=0.7, zorder=0)
  ax.set_xlabel('severity', fontsize=9)
  style.legend(fig)
  return fig


def _draw_severities(
  ax: axes.Axes,
  index: int,
  num_models: int,
  label: str,
  values: Mapping[int, Sequence[float]],
) -> None:
  """Draws one model's line; `index` chooses its style and sideways shift."""
  severities = sorted(values)
  means = [np.mean(values[s]) for s in severities]
  quartiles = [np.percentile(values[s], (25, 75)) for s in severities]
  look = style.line_style(index)
  aside = min(0.09, 0.6 / num_models) * (index - (num_models - 1) / 2)
  positions = np.array(severities) + aside
  ax.vlines(
    positions, *zip(*quartiles), color=look['color'], linewidth=3, alpha=0.3
  )
  ax.plot(
    positions,
    means,
    label=style.display_name(label),
    linewidth=1.4,
    markersize=4.5,
    **look,
  )


def _draw_boxes(
  ax: axes.Axes,
  index: int,
  num_models: int,
  label: str,
  values: Mapping[int, Sequence[float]],
) -> None:
  """Draws one model's boxes; `index` chooses their color and place."""
  color = style.line_style(index)['color']
  width = 0.84 / num_models
  aside = width * (index - (num_models - 1) / 2)
  finite = {
    s: [x for x in types if np.isfinite(x)] for s, types in values.items()
  }
  ax.plot(
    [aside] * len(finite.get(0, ())),
    finite.pop(0, ()),
    'o',
    color=color,
    markersize=4.5,
    label=style.display_name(label),
  )
  filled = {s: types for s, types in finite.items() if types}
  if not filled:
    return
  line = {'color': color, 'linewidth': 1.1}
  boxes = ax.boxplot(
    list(filled.values()),
    positions=[severity + aside for severity in filled],
    widths=0.8 * width,
    whis=(0, 100),
    showfliers=False,
    patch_artist=True,
    manage_ticks=False,
    boxprops={'facecolor': color, 'edgecolor': color, 'alpha': 0.55},
    medianprops={'color': 'black', 'linewidth': 1.4},
    whiskerprops=line,
    capprops=line,
  )['boxes']
  for box in boxes[:1]:
    box.set_label(style.display_name(label))
