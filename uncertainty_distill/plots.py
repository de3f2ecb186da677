"""Pictures of calibration, and of what severity does to a model.

Figures are built without pyplot, so that no global state changes and any thread
may draw: `matplotlib.figure.Figure` with the Agg canvas, colours of Okabe and
Ito (told apart by colour-blind readers), and a marker and line style of its own
for each model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import io
import math
import os
import pathlib
import textwrap

from matplotlib import axes
from matplotlib import figure
from matplotlib.backends import backend_agg
import numpy as np

from uncertainty_distill import errors

_DPI = 110
_VERMILLION, _SKY = '#D55E00', '#56B4E9'
_COLOURS = (
    '#0072B2', _VERMILLION, '#009E73', '#CC79A7', '#E69F00', _SKY, '#000000'
)
_MARKERS = ('o', 's', '^', 'D', 'v')
_LINES = ('-', '--', '-.', ':')
_MAX_PANELS_PER_ROW = 4
_TITLE_WIDTH = 28  # Characters over one panel.

Bins = tuple[Sequence[float], Sequence[float], Sequence[float]]


def display_name(label: str) -> str:
  """Returns a label for readers: `knowledge_student`: `Knowledge student`."""
  words = label.replace('_', ' ')
  return words[:1].upper() + words[1:]


def reliability_diagram(models: Mapping[str, Bins]) -> figure.Figure:
  """Draws accuracy against confidence, one panel a model.

  In each bin of confidence a bar shows the accuracy, and a hatched bar the gap
  between it and the mean confidence; below, the share of examples in each bin.
  The expected calibration error in the title is the sum over bins of
  `|bin_correct - bin_confidence|`, divided by the number of examples.

  Args:
    models: From a model's label to three sequences of [bins] sums over examples
      in equal-width bins of [0, 1]: how many there are, their confidence (the
      largest probability), and how many are classified correctly.

  Returns:
    The figure, at most four panels in a row.

  Raises:
    InputError: There is no model, or a model's sequences differ in length or
      count no example.
  """
  if not models:
    raise errors.InputError('models', models, 'the bins of at least one model')
  columns = _panels_per_row(len(models))
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
  _legend(fig)
  return fig


def severity_curves(
    panels: Mapping[str, Mapping[str, Mapping[int, Sequence[float]]]],
) -> figure.Figure:
  """Draws metrics against the severity of a corruption, one panel a metric.

  Lines join the means over corruption types; vertical bars span the quartiles
  of the types, moved apart a little so that those of all models can be seen.

  Args:
    panels: From a metric's name to models' labels, to severities (0 for clean
      images), to the values of the metric, one for each type of corruption.

  Returns:
    The figure, its panels side by side.

  Raises:
    InputError: There is no panel.
  """
  if not panels:
    raise errors.InputError('panels', panels, 'at least one metric')
  labels = list(dict.fromkeys(label for lines in panels.values()
                              for label in lines))
  size = (3.6 * len(panels) + 0.2, 3.9)
  fig = figure.Figure(figsize=size, layout='constrained')
  for ax, (name, lines) in zip(
      np.ravel(fig.subplots(1, len(panels), squeeze=False)), panels.items()
  ):
    for label, values in lines.items():
      _draw_severities(ax, labels.index(label), len(labels), label, values)
    _plain(ax)
    severities = sorted(set().union(*lines.values()))
    ax.set_xticks(severities, ['clean' if s == 0 else s for s in severities])
    ax.set_title(name, fontsize=11)
    ax.set_xlabel('severity', fontsize=9)
  _legend(fig)
  return fig


def figure_to_array(fig: figure.Figure) -> np.ndarray:
  """Returns the figure's pixels, uint8 [H, W, 4] (RGBA), for TensorBoard."""
  canvas = backend_agg.FigureCanvasAgg(fig)
  canvas.draw()
  return np.array(canvas.buffer_rgba(), dtype=np.uint8)


def save(fig: figure.Figure, path: str | os.PathLike[str]) -> None:
  """Writes a PNG; whoever reads `path` sees the old file or the whole new one.

  Args:
    fig: What to write.
    path: The file, in a folder that exists.

  Raises:
    OSError: The file cannot be written.
  """
  # Drawn in memory first: an error while drawing then leaves no file behind.
  image = io.BytesIO()
  canvas = backend_agg.FigureCanvasAgg(fig)
  canvas.print_figure(image, format='png', dpi=_DPI)
  path = pathlib.Path(path)
  temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
  try:
    temporary.write_bytes(image.getvalue())
    os.replace(temporary, path)
  finally:
    temporary.unlink(missing_ok=True)


def _panels_per_row(count: int) -> int:
  """Returns the length of the rows, as few and as even as can be."""
  rows = math.ceil(count / _MAX_PANELS_PER_ROW)
  return math.ceil(count / rows)


def _checked(label: str, bins: Bins) -> tuple[np.ndarray, ...]:
  """Returns the sums as arrays, float64 [bins]; see `reliability_diagram`."""
  count, confidence, correct = (np.asarray(sums, np.float64) for sums in bins)
  if count.ndim != 1 or not count.shape == confidence.shape == correct.shape:
    raise errors.InputError(
        f'bins of {label}', [count.shape, confidence.shape, correct.shape],
        'three sequences of one length',
    )
  if count.sum() <= 0:
    raise errors.InputError(f'bins of {label}', bins[0], 'at least one example')
  return count, confidence, correct


def _draw_reliability(
    upper: axes.Axes, lower: axes.Axes, label: str, bins: Bins, first: bool
) -> None:
  """Draws one model's bars, and below them the histogram of its confidence."""
  count, confidence, correct = _checked(label, bins)
  total = count.sum()
  error = np.abs(correct - confidence).sum() / total
  width = 1 / len(count)
  used = count > 0
  centres = (np.arange(len(count)) + 0.5)[used] * width
  accuracy = correct[used] / count[used]
  gap = confidence[used] / count[used] - accuracy

  upper.bar(centres, accuracy, width, color=_SKY, edgecolor='white',
            linewidth=0.5, label='accuracy')
  upper.bar(centres, gap, width * 0.82, bottom=accuracy, color='none',
            edgecolor=_VERMILLION, hatch='////', linewidth=0.8,
            label='gap to confidence')
  upper.plot([0, 1], [0, 1], '--', color='0.35', linewidth=1,
             label='calibrated')
  upper.set(xlim=(0, 1), ylim=(0, 1))
  name = textwrap.fill(display_name(label), _TITLE_WIDTH)
  upper.set_title(f'{name}\nECE {error:.3f}', fontsize=10)
  upper.tick_params(labelbottom=False)

  lower.bar(centres, count[used] / total, width, color='0.65',
            edgecolor='white', linewidth=0.5)
  lower.set_ylim(0, 1)
  lower.set_xticks([0, 0.5, 1], ['0', '0.5', '1'])
  lower.set_yticks([0, 0.5, 1], ['0', '0.5', '1'])
  lower.set_xlabel('confidence', fontsize=9)
  if first:
    upper.set_ylabel('accuracy', fontsize=9)
    lower.set_ylabel('share', fontsize=9)
  _plain(upper)
  _plain(lower)


def _draw_severities(
    ax: axes.Axes,
    index: int,
    num_models: int,
    label: str,
    values: Mapping[int, Sequence[float]],
) -> None:
  """Draws one model's line, `index` choosing its style and its shift aside."""
  severities = sorted(values)
  means = [np.mean(values[s]) for s in severities]
  quartiles = [np.percentile(values[s], (25, 75)) for s in severities]
  colour = _COLOURS[index % len(_COLOURS)]
  aside = min(0.09, 0.6 / num_models) * (index - (num_models - 1) / 2)
  positions = np.array(severities) + aside
  ax.vlines(positions, *zip(*quartiles), color=colour, linewidth=3, alpha=0.3)
  ax.plot(
      positions, means, color=colour, label=display_name(label),
      linestyle=_LINES[index % len(_LINES)], linewidth=1.4,
      marker=_MARKERS[index % len(_MARKERS)], markersize=4.5,
  )


def _legend(fig: figure.Figure) -> None:
  """Explains below the panels what is drawn in any of them, each thing once."""
  handles = {
      name: handle for ax in fig.axes
      for handle, name in zip(*ax.get_legend_handles_labels())
  }
  # Nothing else keeps a legend from running off both sides.
  inches = 0.6 + 0.075 * max(map(len, handles))
  fig.legend(
      handles.values(), handles, loc='outside lower center', frameon=False,
      fontsize=9, ncols=max(1, int(fig.get_figwidth() / inches)),
  )


def _plain(ax: axes.Axes) -> None:
  """Leaves only what carries information: two axes and a faint grid."""
  ax.spines[['top', 'right']].set_visible(False)
  ax.grid(axis='y', color='0.9', linewidth=0.7)
  ax.set_axisbelow(True)
  ax.tick_params(labelsize=8)
