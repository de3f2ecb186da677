"""Tests of the pictures: what is drawn and written, and what is refused."""

from uncertainty_distill import plots

import matplotlib
import numpy as np
import pytest
from matplotlib import image as mpl_image

# Two examples of confidence 0.25, one right; six of 0.75, all right.
_BINS = ((2.0, 6.0), (0.5, 4.5), (1.0, 6.0))


def _bars(ax):
  """Returns the (left, bottom, height) of the bars that are drawn."""
  return [
    pytest.approx((bar.get_x(), bar.get_y(), bar.get_height()))
    for bar in ax.patches
  ]


@pytest.mark.parametrize(
  'label, name',
  [
    ('deep_ensemble', 'Deep ensemble'),
    ('tied_head_0_01', 'Tied head 0.01'),
    ('batch_ensemble_0_5_4', 'Batch ensemble 0.5 4'),
    ('head_l2_0_003', 'Head l2 0.003'),
    ('student_of_3', 'Student of 3'),
  ],
)
def test_names_for_readers(label, name):
  assert plots.display_name(label) == name


def test_reliability_bars_and_error():
  fig = plots.reliability_diagram({'lone_student': _BINS})
  upper, lower = fig.axes
  # The accuracies are 0.5 and 1, and the mean confidences are 0.25 and 0.75.
  # The gaps extend from the accuracy to the confidence.
  assert (0.0, 0.0, 0.5) in _bars(upper)
  assert (0.5, 0.0, 1.0) in _bars(upper)
  assert (0.045, 0.5, -0.25) in _bars(upper)
  assert (0.545, 1.0, -0.25) in _bars(upper)
  assert _bars(lower) == [(0.0, 0.0, 0.25), (0.5, 0.0, 0.75)]
  # (|1 - 0.5| + |6 - 4.5|) / 8
  assert upper.get_title() == 'Lone student\nECE 0.250'


@pytest.mark.parametrize('count, columns', [(1, 1), (4, 4), (5, 3), (6, 3)])
def test_reliability_panels_are_spread_evenly(count, columns):
  fig = plots.reliability_diagram({str(i): _BINS for i in range(count)})
  assert fig.axes[0].get_gridspec().ncols == columns
  assert len(fig.axes) == 2 * count


def test_severity_lines_are_means_and_bars_are_quartiles():
  fig = plots.severity_curves(
    {
      'ECE': {'a': {0: [0.1], 5: [0.2, 0.4, 0.6, 0.8, 1.5]}},
      'NLL': {'a': {5: [1.0, 2.0]}, 'b_c': {0: [3.0]}},
    }
  )
  ece, nll = fig.axes
  np.testing.assert_allclose(ece.lines[0].get_ydata(), [0.1, 0.7])
  spans = [segment[:, 1] for segment in ece.collections[0].get_segments()]
  np.testing.assert_allclose(spans, [[0.1, 0.1], [0.4, 0.8]])
  assert [text.get_text() for text in ece.get_xticklabels()] == ['clean', '5']
  styles = {(line.get_color(), line.get_marker()) for line in nll.lines}
  assert len(styles) == 2
  names = [text.get_text() for text in fig.legends[0].get_texts()]
  assert names == ['A', 'B c']


def test_boxes_span_quartiles_and_whiskers_the_range():
  fig = plots.severity_boxes(
    {
      'ECE': {'a': {0: [0.1], 5: [0.2, 0.4, 0.6, 0.8, 1.5]}},
      'NLL': {
        'a': {5: [1.0, 2.0, float('inf')]},
        'b_c': {0: [3.0], 1: [float('nan')]},
      },
    },
    log_scale=['NLL'],
  )
  ece, nll = fig.axes
  dot, *lines = [line for line in ece.lines if line.get_color() != '0.85']
  (median,) = [line for line in lines if line.get_color() == 'black']
  assert list(dot.get_ydata()) == [0.1]
  (box,) = ece.patches
  box_y = box.get_path().vertices[:, 1]
  assert (box_y.min(), box_y.max()) == pytest.approx((0.4, 0.8))
  assert list(median.get_ydata()) == [0.6, 0.6]
  ends = [y for line in lines for y in line.get_ydata()]
  assert (min(ends), max(ends)) == pytest.approx((0.2, 1.5))
  assert (ece.get_yscale(), nll.get_yscale()) == ('linear', 'log')
  # Non-finite values are left out: a box of two values and a dot remain.
  assert len(nll.patches) == 1
  assert [t.get_text() for t in nll.get_xticklabels()] == ['clean', '1', '5']
  names = [text.get_text() for text in fig.legends[0].get_texts()]
  assert names == ['A', 'B c']


def test_heat_maps_share_a_scale_and_say_their_values():
  fig = plots.heat_maps(
    'Accuracy',
    {
      'a': {'fog': {1: 0.9, 5: 0.4}, 'snow': {1: 0.75}},
      'b_c': {'fog': {1: 1.0, 5: float('nan')}},
    },
    higher_is_better=True,
  )
  first, second, bar = fig.axes
  np.testing.assert_array_equal(
    first.images[0].get_array().filled(np.nan), [[0.9, 0.4], [0.75, np.nan]]
  )
  assert [t.get_text() for t in first.texts] == ['0.90', '0.40', '0.75']
  assert [t.get_text() for t in second.texts] == ['1.00']
  assert [t.get_text() for t in first.get_yticklabels()] == ['Fog', 'Snow']
  scales = [ax.images[0].get_clim() for ax in (first, second)]
  assert scales == [(0.4, 1.0)] * 2 and bar.get_ylabel() == 'Accuracy'
  shades = first.images[0].to_rgba(np.array([0.4, 1.0]))[:, :3].mean(axis=-1)
  assert shades[0] < 0.2 and shades[1] == 1.0  # The worst is dark.


def test_reconstruction_lines_are_of_ranks_and_groups():
  layers = [f'group{i}' for i in range(3)]
  fig = plots.reconstruction_errors(
    layers,
    {
      '': {1: [0.8, 0.7, 0.6], 4: [0.5, 0.4, 0.3]},
      'aligned': {1: [0.7, 0.6, 0.5], 4: [0.4, 0.3, 0.2]},
    },
    {'': [0.2, 0.0, 0.1], 'aligned': [0.1, 0.0, 0.1]},
  )
  (ax,) = fig.axes
  drawn = {line.get_label(): line for line in ax.lines}
  np.testing.assert_array_equal(
    drawn['rank 4, aligned'].get_ydata(), [0.4, 0.3, 0.2]
  )
  one, four, aligned = (
    drawn[name] for name in ('rank 1', 'rank 4', 'rank 1, aligned')
  )
  assert one.get_color() == aligned.get_color() != four.get_color()
  assert one.get_linestyle() != aligned.get_linestyle()
  # The two points are apart, and both are near their layer.
  assert 0.1 < aligned.get_xdata()[1] - one.get_xdata()[1] < 0.3
  bounds = [segment[0, 1] for segment in ax.collections[0].get_segments()]
  assert bounds == [0.2, 0.0, 0.1]
  assert [t.get_text() for t in ax.get_xticklabels()] == [
    'Group0',
    'Group1',
    'Group2',
  ]
  assert len(fig.legends[0].get_texts()) == 6


@pytest.mark.parametrize('count', [13, 29])
def test_names_of_layers_do_not_overlap(count):
  fig = plots.reconstruction_errors(
    [f'group{i}_block0_shortcut' for i in range(count)],
    {'': {1: [0.5] * count}},
    {'': [0.1] * count},
  )
  plots.figure_to_array(fig)
  boxes = [t.get_window_extent() for t in fig.axes[0].get_xticklabels()]
  assert len(boxes) == count
  assert all(a.x1 < b.x0 for a, b in zip(boxes, boxes[1:]))
  page = fig.get_window_extent()
  assert all(box.y0 > page.y0 and box.x1 < page.x1 for box in boxes)


@pytest.mark.parametrize('log_scale', [False, True])
@pytest.mark.parametrize('value', [0.0, 0.9, float('inf')])
def test_heat_map_of_one_value(value, log_scale):
  fig = plots.heat_maps('NLL', {'a': {'fog': {5: value}}}, log_scale=log_scale)
  assert plots.figure_to_array(fig).std() > 1
  texts = [text.get_text() for text in fig.axes[0].texts]
  assert texts == ([f'{value:.2f}'] if np.isfinite(value) else [])


def test_png_and_array_hold_the_picture_and_nothing_global_changes(tmp_path):
  before = dict(matplotlib.rcParams)
  fig = plots.reliability_diagram({str(i): _BINS for i in range(2)})
  array = plots.figure_to_array(fig)
  assert array.dtype == np.uint8 and array.shape[2] == 4
  assert len(np.unique(array.reshape(-1, 4), axis=0)) > 10
  path = tmp_path / 'a.png'
  path.write_bytes(b'old')
  plots.save(fig, path)
  assert mpl_image.imread(path)[..., :3].std() > 0.1
  assert path.stat().st_size < 200_000
  first = path.read_bytes()
  plots.save(fig, path)
  assert path.read_bytes() == first
  assert list(tmp_path.iterdir()) == [path]
  assert dict(matplotlib.rcParams) == before


def _bar_lengths(fig):
  """Maps class names to the (length, is dark) of the members' bars."""
  ax = fig.axes[1]
  names = [text.get_text() for text in ax.get_yticklabels()]
  found = {name: [] for name in names}
  for bar in ax.patches:
    middle = bar.get_y() + bar.get_height() / 2
    found[names[round(middle)]].append(
      (round(bar.get_width(), 6), bar.get_alpha() == 1)
    )
  return found


def test_votes_show_every_member_and_the_label():
  probs = np.array([[0.1, 0.6, 0.2, 0.1, 0.0], [0.2, 0.2, 0.5, 0.1, 0.0]])
  image = np.zeros([4, 4, 3], np.uint8)
  names = ['a', 'b', 'c', 'd', '$e$']
  fig = plots.member_votes(image, probs, 4, names, 1.25, 0.5)
  # The means are 0.15, 0.4, 0.35, 0.1 and 0. The label comes last.
  assert _bar_lengths(fig) == {
    'b': [(0.6, True), (0.2, False)],
    'c': [(0.2, False), (0.5, True)],
    'a': [(0.1, False), (0.2, False)],
    '$e$': [(0.0, False)] * 2,
  }
  left, right = fig.axes
  assert left.get_title('left') == 'label: $e$'
  assert [text.get_text() for text in left.texts] == ['says: b, 0.40']
  assert right.get_title('right') == 'entropy 1.25, MI 0.50'
  weights = [text.get_fontweight() for text in right.get_yticklabels()]
  assert weights == ['normal'] * 3 + ['bold']
  means = [segment[0, 0] for segment in right.collections[0].get_segments()]
  np.testing.assert_allclose(means, [0.4, 0.35, 0.15, 0.0])
  assert plots.figure_to_array(fig).std() > 20


def test_votes_of_a_single_network_are_bars_alone():
  probs = np.array([[0.7, 0.3]])
  image = np.zeros([4, 4, 3], np.uint8)
  fig = plots.member_votes(image, probs, 0, 'ab', 0.5, 0.0)
  assert fig.axes[1].get_title('right') == 'entropy 0.50'
  assert _bar_lengths(fig) == {'a': [(0.7, True)], 'b': [(0.3, False)]}
  assert not fig.axes[1].collections
