"""Tests of the paper's figures: learning curves and ensemble sizes."""

import math

from uncertainty_distill import plots

import numpy as np
import pytest


def _legend(fig):
  return [text.get_text() for text in fig.legends[0].get_texts()]


def test_ensemble_sizes():
  fig = plots.ensemble_sizes(
    {
      'ECE': {3: [0.1, 0.2, 0.6], 8: [0.4], 6: [0.4, math.nan], 5: []},
      'NLL': {3: [1.0], 8: [2.0]},
    },
    {'ECE': 0.5},
    4,
    'deep_ensemble',
  )
  ece, nll = fig.axes
  (bars,) = ece.containers
  line, caps, (spread,) = bars.lines
  # A mean over fewer seeds would mislead: there is no point at 6.
  np.testing.assert_allclose(line.get_xydata(), [[3, 0.3], [8, 0.4]])
  # The deviation is sqrt((0.04 + 0.01 + 0.09) / 2); a single seed has none.
  deviation = math.sqrt(0.07)
  ends = [segment[:, 1] for segment in spread.get_segments()]
  np.testing.assert_allclose(
    ends, [[0.3 - deviation, 0.3 + deviation], [0.4, 0.4]]
  )
  assert len(caps) == 2
  across, star = [line for line in ece.lines if line.get_color() != '#0072B2']
  assert set(across.get_ydata()) == {0.5}
  assert star.get_xydata().tolist() == [[4, 0.5]]
  names = [t.get_text() for t in ece.get_xticklabels()]
  assert names == ['3', '4', '5', '6', '8']
  # The line has no error bars, and the panel has no teacher.
  (single,) = nll.containers
  assert not single.has_yerr and len(nll.lines) == 1
  assert _legend(fig) == ['Deep ensemble (teacher)', 'Student']


@pytest.mark.parametrize(
  'panels, grid', [(1, (1, 1)), (4, (2, 2)), (6, (2, 3))]
)
def test_panels_are_spread_evenly(panels, grid):
  names = [str(i) for i in range(panels)]
  for fig in (
    plots.ensemble_sizes({name: {4: [1.0]} for name in names}, {}, 4, 'a'),
    plots.curves({name: {'a': [{1.0: 1.0}]} for name in names}, 'epochs'),
  ):
    spec = fig.axes[0].get_gridspec()
    assert (spec.nrows, spec.ncols) == grid
    assert plots.figure_to_array(fig).std() > 1


def test_curves_are_means_and_bands_the_range():
  fig = plots.curves(
    {
      'Loss': {
        # The second seed was stopped. The third has one more epoch, 1.5.
        'a': [
          {1.0: 1.0, 2.0: 10.0, 3.0: 100.0},
          {1.0: 2.0, 2.0: 30.0},
          {1.0: 6.0, 1.5: 7.0, 2.0: 20.0},
        ],
        'b_c': [{0.5: 4.0, 1.0: math.nan, 1.5: 5.0}],
      },
      'Accuracy': {'b_c': [{0.5: 0.1}], 'a': []},
    },
    'epochs',
    log_scale=['Loss'],
  )
  loss, accuracy = fig.axes
  line, single = loss.lines
  np.testing.assert_allclose(line.get_xydata(), [[1, 3], [2, 20]])
  np.testing.assert_allclose(
    single.get_xydata(), [[0.5, 4], [1, np.nan], [1.5, 5]]
  )
  (band,) = loss.collections
  corners = {tuple(point) for point in band.get_paths()[0].vertices}
  assert corners == {(1, 1), (1, 6), (2, 10), (2, 30)}
  assert loss.get_xlabel() == accuracy.get_xlabel() == 'epochs'
  assert (loss.get_yscale(), accuracy.get_yscale()) == ('log', 'linear')
  # A system looks the same in all panels.
  assert accuracy.lines[0].get_color() == single.get_color()
  assert _legend(fig) == ['A', 'B c']
