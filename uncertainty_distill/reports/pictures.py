"""The pictures of an evaluation, for its report and for TensorBoard."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

from uncertainty_distill import plots
from uncertainty_distill.data import corruptions
from uncertainty_distill.evaluation import aggregation
from uncertainty_distill.evaluation import results as results_lib
from uncertainty_distill.metrics import BINS, PAPER, metric_spec

import numpy as np

_DIVERSITY = ('disagreement', 'mutual_information')

_Models = Mapping[str, Sequence[results_lib.Result]]


@dataclasses.dataclass(frozen=True)
class Picture:
  """A picture and its caption.

  Attributes:
    name: The name of its file, without the extension, and of its TensorBoard
      tag.
    section: The heading above it.
    caption: Sentences that say what is drawn.
    draw: A function that draws and returns the figure.
  """

  name: str
  section: str
  caption: str
  draw: Callable[[], plots.Figure]

  def pixels(self) -> np.ndarray:
    """Draws the picture; returns its pixels, uint8 [H, W, 4] (RGBA)."""
    return plots.figure_to_array(self.draw())


def available_pictures(results: Sequence[results_lib.Result]) -> list[Picture]:
  """Returns the pictures that can be made of some results, in reading order.

  They are not drawn yet. Drawing them one by one needs the memory of only one.

  Args:
    results: Records of any models and seeds, clean, corrupted or both.
  """
  models = aggregation.by_model(results)
  severities = {result.shift.severity for result in results}
  chosen = [s for s in (0, max(corruptions.SEVERITIES)) if s in severities]
  return [
    *(_reliability(models, severity) for severity in chosen),
    *_risks(models, chosen),
    *(_under_corruption(models) if severities - {0} else ()),
  ]


def _reliability(models: _Models, severity: int) -> Picture:
  """Returns the picture of calibration on clean images or at a severity."""
  # One seed alone: errors of opposite sign would cancel between seeds, and the
  # diagram would look better calibrated than any of its models.
  bins = {}
  for label, records in models.items():
    chosen = [r for r in records if r.shift.severity == severity]
    chosen = [r for r in chosen if r.seed == chosen[0].seed]
    if chosen:
      bins[label] = tuple(
        np.sum([getattr(r, name) for r in chosen], axis=0) for name in BINS
      )
  caption = (
    'Accuracy against confidence, and the share of the images in each bin of'
    ' confidence, for the first seed of each model'
  )
  if severity:
    caption += (
      '; the images of all types of corruption are pooled, so that the ECE '
      'above a panel is not the mean over types'
    )
  where = f'at severity {severity}' if severity else 'on clean images'
  return Picture(
    f'reliability_severity_{severity}' if severity else 'reliability',
    f'Calibration {where}',
    caption + '.',
    lambda: plots.reliability_diagram(bins),
  )


def _risks(models: _Models, severities: Sequence[int]) -> Iterator[Picture]:
  """Yields the risk-coverage curves, where results have them."""
  panels = {}
  for severity in severities:
    lines = {
      label: list(aggregation.risk_curves(records, severity).values())
      for label, records in models.items()
    }
    if any(lines.values()):
      name = f'severity {severity}' if severity else 'clean images'
      panels[f'Risk, {name}'] = lines
  if panels:
    yield Picture(
      'risk_coverage',
      'Answers to the surest only',
      'The share of errors among the answers (risk), if a model answers only '
      'for the images it is surest of, against the share of images it answers '
      'for (coverage). Lines are means over seeds and types of corruption, '
      'bands span the seeds.',
      lambda: plots.curves(panels, 'coverage'),
    )


def _under_corruption(models: _Models) -> Iterator[Picture]:
  """Yields the pictures of metrics under corruption."""
  panels = _panels(models, PAPER)
  types = dict.fromkeys(
    shift.corruption.value
    for shift in sorted(r.shift for records in models.values() for r in records)
    if shift.corruption
  )
  specs = map(metric_spec, PAPER)
  logarithmic = [spec.column for spec in specs if spec.log_scale]
  yield Picture(
    'severity_boxes',
    'Under corruption',
    'Boxes span the middle half of the types of corruption, lines in them are '
    'medians, whiskers reach the smallest and the largest value; dots are '
    f'clean images. Values are means over seeds. The axis of NLL is '
    f'logarithmic. Types: {", ".join(types)}.',
    lambda: plots.severity_boxes(panels, logarithmic),
  )
  yield Picture(
    'severity',
    'Under corruption',
    'Lines join the means over types of corruption, bars span the middle half'
    ' of the types. Values are means over seeds.',
    lambda: plots.severity_curves(panels),
  )
  diversity = _panels(models, _DIVERSITY)
  if any(any(lines.values()) for lines in diversity.values()):
    yield Picture(
      'diversity',
      'Under corruption',
      'How much the members of each ensemble differ; single networks are left '
      'out. Lines and bars are as above.',
      lambda: plots.severity_curves(diversity),
    )
  for name in PAPER:
    yield _heat_maps(models, name)


def _panels(
  models: _Models, names: Sequence[str]
) -> dict[str, dict[str, dict[int, tuple[float, ...]]]]:
  """Returns values by heading, model and severity, as the plots take them."""
  return {
    metric_spec(name).column: {
      label: aggregation.by_severity(records, name)
      for label, records in models.items()
    }
    for name in names
  }


def _heat_maps(models: _Models, name: str) -> Picture:
  """Returns the picture of one metric by corruption and severity."""
  spec = metric_spec(name)
  cells = {
    label: aggregation.by_corruption(records, name)
    for label, records in models.items()
  }
  return Picture(
    f'heat_map_{name}',
    'Corruption by corruption',
    f'{spec.heading} by corruption and severity, means over seeds; the darker, '
    f'the worse{" (logarithmic)" if spec.log_scale else ""}.',
    lambda: plots.heat_maps(
      spec.column,
      {k: v for k, v in cells.items() if v},
      higher_is_better=spec.higher_is_better,
      log_scale=spec.log_scale,
    ),
  )
