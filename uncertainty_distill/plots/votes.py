"""Plots one image beside the class probabilities of an ensemble's members."""

from __future__ import annotations

from collections.abc import Sequence

from uncertainty_distill.plots import style

import numpy as np
from matplotlib import axes, figure

_SIZE = (3.5, 2.0)  # Inches.
# Left, bottom, width and height, as shares of the figure. They are the same in
# every picture, so that many pictures side by side look like one.
_IMAGE, _BARS = (0.02, 0.16, 0.38, 0.68), (0.68, 0.16, 0.29, 0.68)
_LONGEST = 13  # Letters of a class's name.
_LIKELIEST = 3
_GROUP = 0.8  # The bars' share of the height between two classes.
_PALE = 0.3


def member_votes(
  image: np.ndarray,
  probs: np.ndarray,
  label: int,
  class_names: Sequence[str],
  entropy: float,
  mutual_information: float,
) -> figure.Figure:
  """Draws an image beside the members' probabilities.

  The plot shows the three classes with the highest mean probability over the
  members, and the label if it is not one of these classes.

  Args:
    image: uint8 [H, W, 3].
    probs: The members' probabilities [E, K].
    label: The right class.
    class_names: K names.
    entropy: The predictive entropy, in nats.
    mutual_information: The mutual information, in nats. It is shown only if
      there are at least two members.

  Returns:
    A small figure, to be shown beside others.
  """
  fig = figure.Figure(figsize=_SIZE)
  left, right = (fig.add_axes(place) for place in (_IMAGE, _BARS))
  mean = probs.mean(0)
  best = int(mean.argmax())
  names = [_shortened(str(name)) for name in class_names]
  _draw_image(
    left,
    image,
    f'label: {names[label]}',
    f'says: {names[best]}, {mean[best]:.2f}',
    color='black' if best == label else style.VERMILLION,
  )
  shown = np.argsort(-mean, kind='stable')[:_LIKELIEST].tolist()
  shown += [label] if label not in shown else []
  _draw_bars(right, probs[:, shown], probs.argmax(-1), shown)
  right.set_yticks(
    range(len(shown)),
    [names[k] for k in shown],
    fontsize=8,
    parse_math=False,
  )
  right.get_yticklabels()[shown.index(label)].set_fontweight('bold')
  title = f'entropy {entropy:.2f}'
  if len(probs) > 1:
    title += f', MI {mutual_information:.2f}'
  right.set_title(title, fontsize=9, loc='right')
  return fig


def _draw_image(
  ax: axes.Axes, image: np.ndarray, above: str, below: str, color: str
) -> None:
  """Draws the image between two texts; the lower text has a color."""
  ax.imshow(image, interpolation='nearest')
  ax.set_axis_off()
  # The texts start at the left edge, because long names of classes have room
  # only to the right.
  ax.set_title(above, fontsize=9, loc='left', parse_math=False)
  ax.text(
    0,
    -0.05,
    below,
    fontsize=9,
    color=color,
    va='top',
    transform=ax.transAxes,
    parse_math=False,
  )


def _draw_bars(
  ax: axes.Axes, probs: np.ndarray, voted: np.ndarray, classes: Sequence[int]
) -> None:
  """Draws a group of bars for each class, with the members from top to bottom.

  A bar is opaque if the member votes for this class, and pale otherwise. If
  there are several members, black lines mark their means.
  """
  members = len(probs)
  height = _GROUP / members
  places = np.arange(len(classes))
  for member, of_member in enumerate(probs):
    bars = ax.barh(
      places + height * (member - (members - 1) / 2),
      of_member,
      0.9 * height,
      color=style.line_style(member)['color'],
      alpha=_PALE,
    )
    for bar, k in zip(bars, classes):
      if k == voted[member]:
        bar.set_alpha(1)
  if members > 1:
    ax.vlines(
      probs.mean(0),
      places - _GROUP / 2,
      places + _GROUP / 2,
      color='black',
      linewidth=1.2,
    )
  ax.set_xlim(0, 1)
  ax.set_xticks([0, 0.5, 1], ['0', '0.5', '1'])
  ax.set_ylim(len(classes) - 0.5, -0.5)
  style.plain(ax)
  ax.grid(visible=False, axis='y')
  ax.grid(axis='x', color='0.9', linewidth=0.7)
  ax.tick_params(axis='y', length=0)


def _shortened(name: str) -> str:
  return name if len(name) <= _LONGEST else f'{name[: _LONGEST - 1]}…'
