"""The report of an evaluation: a table, pictures, and the files behind them."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Collection, Mapping, Sequence

from uncertainty_distill import evaluation, plots
from uncertainty_distill.evaluation import (
  aggregation,
  system,
  system_evaluation,
)
from uncertainty_distill.evaluation import results as results_lib
from uncertainty_distill.io import files
from uncertainty_distill.metrics import CORRUPTED, metric_spec
from uncertainty_distill.reports import (
  advice,
  corrupted_image,
  corruption_errors,
  html_page,
  most_uncertain,
  paper,
  pictures,
  significance,
  tables,
)
from uncertainty_distill.runtime import markup

_BOLD = (
  '\n- **Bold**: the best mean over seeds, and the means that do not differ '
  "significantly from it (Welch's t-test against the best mean, Holm's "
  'correction, 5%); systems with only one seed are not tested.'
)

_PAPER = (
  'The paper trains WRN-28-10, ensembles of 4, and scores them on the whole'
  ' test set and on all types and severities of corruption; its values are'
  ' means and standard deviations over 10 seeds.'
)


@dataclasses.dataclass(frozen=True)
class Additions:
  """What a report may show beside its results.

  Attributes:
    sizes: From models' labels to their sizes.
    published: What the paper reports, from labels to metrics.
    images: A system's name for readers, and its most uncertain images.
    corrupted: A test image under the corruptions of the evaluation.
    baseline: The name of the baseline of corruption errors, and its error
      rates.
    cross_entropies: The values that reveal underfitted systems; see
      `advice.advice`.
    batch_ensembles: The labels of BatchEnsembles.
  """

  sizes: Mapping[str, system_evaluation.ModelSize] | None = None
  published: Mapping[str, aggregation.Aggregate] | None = None
  images: tuple[str, most_uncertain.MostUncertain] | None = None
  corrupted: corrupted_image.CorruptedImage | None = None
  baseline: tuple[str, evaluation.Errors] | None = None
  cross_entropies: Mapping[str, advice.CrossEntropies] | None = None
  batch_ensembles: Collection[str] = ()


def write_report(
  directory: str | os.PathLike[str],
  title: str,
  results: Sequence[results_lib.Result],
  how_it_was_made: Mapping[str, str | Sequence[str]],
  additions: Additions = Additions(),
) -> str:
  """Writes a report: `report.md`, `report.html`, data and pictures.

  `report.html` has the same content in one file that needs none of the others.
  The data are `summary.json` (from labels to metrics to `mean` and `std`),
  `results.csv` and `results.json`; pictures are in `plots/` and `images/`. Each
  file is replaced whole and depends on the arguments only.

  Args:
    directory: The folder, which is made if it does not exist.
    title: The heading.
    results: Records of any models and seeds.
    how_it_was_made: From a heading such as `Machine` to a text, or to several
      lines (commands) that are shown as they are.
    additions: What else the report shows.

  Returns:
    The path of `report.md`.

  Raises:
    OSError: The folder cannot be written.
  """
  directory = os.fspath(directory)
  files.make_folder(os.path.join(directory, 'plots'))
  rows = aggregation.aggregate_models(results)
  baseline, corrupted = additions.baseline, additions.corrupted
  images, relative = additions.images, {}
  if baseline:
    relative = corruption_errors.aggregate(results, baseline[1])
  _write_data(directory, title, rows, relative, results, how_it_was_made)
  sections = [
    f'# {markup.escaped(title)}',
    *_tables(rows, results, additions),
    *(corruption_errors.sections(relative, baseline[0]) if baseline else ()),
    *_drawn(directory, results),
    *(corrupted_image.sections(corrupted, directory) if corrupted else ()),
    *(most_uncertain.sections(*images, directory) if images else ()),
    '## How it was made',
    *(_made(heading, text) for heading, text in how_it_was_made.items()),
  ]
  # Last, so that these documents exist only if all that they show exists.
  path = os.path.join(directory, 'report.md')
  files.write_text(path, '\n\n'.join(sections) + '\n')
  html_page.write_page(
    directory, html_page.REPORT_PAGE, {os.path.basename(path): ''}
  )
  return path


def _tables(rows, results, additions: Additions) -> list[str]:
  """Returns the sections that hold tables."""
  best = significance.best(results)
  beside = paper.beside_paper(rows, additions.published or {})
  return [
    tables.table(rows, additions.sizes, marked=best),
    _explanation(results) + (_BOLD if best else ''),
    *_advice(results, additions),
    *(['## Beside the paper', _PAPER, *beside] if beside else []),
    *_section('More metrics', rows, tables.MORE_COLUMNS),
    *_section('Answers to the surest only', rows, tables.SELECTIVE_COLUMNS),
    *_section('Out-of-distribution images', rows, tables.OOD_COLUMNS),
    *_section('Over- and underconfidence', rows, tables.CALIBRATION_COLUMNS),
    *_section('After one temperature', rows, tables.TEMPERATURE_COLUMNS),
    *_section('Prediction sets', rows, tables.SET_COLUMNS),
    *_section('Diversity', rows, tables.DIVERSITY_COLUMNS),
    *_members(results),
  ]


def _advice(results, additions: Additions) -> list[str]:
  """Returns the section on what to change in training, or []."""
  found = advice.advice(
    results, additions.cross_entropies, additions.batch_ensembles
  )
  lines = [f'- {line}' for line in found]
  return ['## What to change', '\n'.join(lines)] if lines else []


def _members(results: Sequence[results_lib.Result]) -> list[str]:
  """Returns the section on members' own clean accuracies, or []."""
  lines = [
    [
      markup.escaped(system.System(result.model, result.seed, ()).heading),
      ', '.join(f'{accuracy:.3f}' for accuracy in result.member_accuracies),
    ]
    for result in results
    if result.shift.corruption is None and len(result.member_accuracies) > 1
  ]
  if not lines:
    return []
  return [
    '## Members',
    tables.markdown_table(['Model', 'Accuracy of each member'], lines, 2),
    'The accuracy of each member by itself on clean test images, in the order '
    'of the paths that the members come from.',
  ]


def _write_data(
  directory, title, rows, relative, results, how_it_was_made
) -> None:
  """Writes the files that are for programs."""
  means = evaluation.MCE, evaluation.RELATIVE_MCE
  rows = {
    label: values
    | {k: v for k, v in relative.get(label, {}).items() if k in means}
    for label, values in rows.items()
  }
  json_path, csv_path, summary_path = (
    os.path.join(directory, name)
    for name in ('results.json', 'results.csv', 'summary.json')
  )
  results_lib.write_json(
    results,
    json_path,
    {
      'title': title,
      'corrupted_images': sorted({r.images for r in results if r.images}),
      'how_it_was_made': dict(how_it_was_made),
    },
  )
  results_lib.write_csv(results, csv_path)
  files.write_text(summary_path, _summary_json(rows))


def _summary_json(rows: Mapping[str, aggregation.Aggregate]) -> str:
  """Returns the aggregates as JSON; numbers as in `results.write_json`."""
  content = {
    label: {
      name: {
        'mean': results_lib.json_number(mean),
        'std': (
          None if deviation is None else results_lib.json_number(deviation)
        ),
      }
      for name, (mean, deviation) in values.items()
    }
    for label, values in rows.items()
  }
  return json.dumps(content, indent=2, allow_nan=False) + '\n'


def _explanation(results: Sequence[results_lib.Result]) -> str:
  """Returns what the columns mean, and what the averages are over."""
  lines = _descriptions(tables.COLUMNS)
  seeds, shifts = [], {}
  for label, records in aggregation.by_model(results).items():
    numbers = dict.fromkeys(result.seed for result in records)
    if len(numbers) > 1:
      names = ', '.join(map(str, numbers))
      seeds.append(f'{_name(label)} ({names})')
    for seed in numbers:
      seen = frozenset(r.shift for r in records if r.seed == seed)
      shifts.setdefault(seen, []).append(_name(label))
  lines.append(_num_images(results))
  if seeds:
    lines.append(f'- **±**: standard deviation over seeds: {"; ".join(seeds)}.')
  if len(shifts) > 1:
    lines.append(
      '- **Note**: not all models were evaluated on the same corruptions, so '
      'their metrics on corrupted images cannot be compared. Sets of images: '
      + '; '.join(
        f'{len(seen)} for {", ".join(dict.fromkeys(labels))}'
        for seen, labels in shifts.items()
      )
      + '.'
    )
  return '\n'.join(lines)


def _num_images(results: Sequence[results_lib.Result]) -> str:
  """Returns how many images were scored."""
  clean, corrupted = (
    ' or '.join(f'{count:,}' for count in sorted(counts))
    for counts in (
      {
        r.num_examples
        for r in results
        if bool(r.shift.corruption) == is_corrupted
      }
      for is_corrupted in (False, True)
    )
  )
  more = f', {corrupted} of each corruption and severity' if corrupted else ''
  return f'- **Images**: {clean} clean{more}.'


def _section(
  title: str,
  rows: Mapping[str, aggregation.Aggregate],
  columns: Sequence[str],
) -> list[str]:
  """Returns a section on the models and columns with values, or []."""
  rows = {
    label: values
    for label, values in rows.items()
    if not values.keys().isdisjoint(columns)
  }
  known = [name for name in columns if any(name in v for v in rows.values())]
  if not known:
    return []
  return [
    f'## {title}',
    tables.table(rows, columns=known),
    '\n'.join(_descriptions(known)),
  ]


def _descriptions(columns: Sequence[str]) -> list[str]:
  """Returns what columns mean, with one item for all corrupted images."""
  clean = [name for name in columns if not name.startswith(CORRUPTED)]
  items = [
    f'- **{spec.column}**: {spec.description}.'
    for spec in map(metric_spec, clean)
  ]
  if len(clean) < len(columns):
    items.append(
      '- **c-**: on corrupted test images: the mean over types of corruption,'
      ' then over severities.'
    )
  return items


def _drawn(directory: str, results: Sequence[results_lib.Result]) -> list[str]:
  """Writes the pictures; returns the sections that show them."""
  sections = []
  for picture in pictures.available_pictures(results):
    file = f'plots/{picture.name}.png'
    plots.save(picture.draw(), os.path.join(directory, file))
    if f'## {picture.section}' not in sections:
      sections.append(f'## {picture.section}')
    name = plots.display_name(picture.name).lower()
    sections += [f'![{picture.section}: {name}]({file})', picture.caption]
  return sections


def _made(heading: str, text: str | Sequence[str]) -> str:
  """Returns a line, or several lines as a block of code."""
  if isinstance(text, str):
    return f'**{heading}**: {markup.escaped(text)}'
  return f'**{heading}**:\n\n{markup.code_block(text)}'


def _name(label: str) -> str:
  return markup.escaped(plots.display_name(label))
