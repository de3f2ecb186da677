"""A study's own report: the paper's tables and figures, as measured here."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence

from uncertainty_distill import evaluation, plots, reports
from uncertainty_distill.io import files
from uncertainty_distill.runtime import markup
from uncertainty_distill.studies import study_figures
from uncertainty_distill.studies.spec import Figure, Study, Table

REPORT = 'study.md'
_MORE = (
  '[Every system](report.md): what the columns and the bold type mean, more'
  ' metrics and pictures, and how all of it was made.'
)
_ERRORS = (
  'The relative error of the nearest BatchEnsemble of each rank, layer by '
  'layer; *any rank ≥* is the error that no rank falls below, and *rank of '
  "W_i / W_j* is the rank of the Hadamard quotients of pairs of members' "
  'weights.'
)
_CLAIMS = (
  'A difference is the mean of a system minus that of the system that it is '
  'compared with, over the seeds that both have. Each 95% interval is by '
  'itself. A claim with a margin holds if the difference is significantly '
  'within it, and does not hold if it is significantly beyond; p is that of '
  'the verdict. Tests are paired by seed, and p is corrected for the number of '
  'tests in this table (Holm). All students have the same teacher, so the '
  'intervals do not show how results would differ with another teacher.'
)
_CAPTIONS = {
  'learning_curves': 'Lines are means over seeds, and bands reach from the '
  'lowest seed to the highest.',
  'ensemble_size': 'Lines are means over seeds, and error bars are one '
  'standard deviation. The star and the thin line are the teacher.',
}
_DIFFERENCES = (
  'Means over the seeds that both systems have, with the 95% interval of each '
  'by itself. Bold: they differ significantly by the paired t-test, corrected '
  'for the number of systems in the column (Holm).'
)
_ALIGNED = (
  " *Aligned* is the relative error after each member's neurons were "
  "reordered so that its weights are most like the first member's."
)


def write_study_report(
  study: Study, directory: str, systems: Sequence[evaluation.System]
) -> dict[str, list[str]]:
  """Writes `study.md` and its pictures, and adds them to `report.html`.

  Args:
    study: The study. Its tables and figures show the rows and lines that have
      results.
    directory: The folder that holds the study's runs and `results.json`.
    systems: The systems of the results.

  Returns:
    From each table's name to its sections, which are empty if the table has no
    results; {} if the study has no tables, figures or claims.
  """
  if not study.tables and not study.figures and not study.claims:
    return {}
  results, _ = evaluation.read_json(os.path.join(directory, 'results.json'))
  tables = {
    name: _table(table, results) for name, table in study.tables.items()
  }
  drawn = [
    section
    for figure in study.figures.values()
    for section in _figure(study, figure, results, systems, directory)
  ]
  claims = _claims(study, results)
  if any(tables.values()) or drawn or claims:
    sections = [
      f'# {markup.escaped(study.title)}',
      _MORE,
      *claims,
      *itertools.chain(*tables.values()),
      *drawn,
    ]
    files.write_text(
      os.path.join(directory, REPORT), '\n\n'.join(sections) + '\n'
    )
    reports.write_page(
      directory,
      reports.REPORT_PAGE,
      {REPORT: '', 'report.md': 'Every system'},
    )
  return tables


def _claims(study: Study, results: Sequence[evaluation.Result]) -> list[str]:
  """Returns the section on the claims whose systems have results, or []."""
  labels = {result.model for result in results}
  claims = [
    claim
    for claim in study.claims.values()
    if {claim.system, claim.other} <= labels
  ]
  if not claims:
    return []
  findings = reports.decide(claims, results)
  return ['## Claims', reports.claims_table(findings), _CLAIMS]


def _table(table: Table, results: Sequence[evaluation.Result]) -> list[str]:
  """Returns a table's sections: the metrics, then the paper's beside them."""
  labels = dict.fromkeys(table.rows)
  own = [r for label in labels for r in results if r.model == label]
  if not own:
    return []
  rows = evaluation.aggregate_models(own)
  sections = [
    f'## {markup.escaped(table.title)}',
    reports.table(rows, marked=reports.best(own)),
  ]
  published = {}
  for name in table.paper:
    published |= reports.paper_rows(*_split(name))
  sections += reports.beside_paper(rows, published)
  for other in table.compared_with:
    if other in rows and len(rows) > 1:
      name = markup.escaped(plots.display_name(other).lower())
      sections += [
        f'### {markup.escaped(table.title)}: differences from {name}',
        reports.differences_table(list(rows), other, own),
        _DIFFERENCES,
      ]
  return sections


def _split(name: str) -> tuple[str, list[str]]:
  """Returns the paper's dataset and table in a name such as cifar10.table_1."""
  dataset, table = name.split('.')
  return dataset, [table]


def _figure(
  study: Study,
  figure: Figure,
  results: Sequence[evaluation.Result],
  systems: Sequence[evaluation.System],
  directory: str,
) -> list[str]:
  """Draws a figure; returns its sections, or [] if it has no systems."""
  shown = {
    label: of_label
    for label in figure.systems
    if (of_label := [s for s in systems if s.label == label])
  }
  if not shown:
    return []
  title = markup.escaped(figure.title)
  heading = f'## {title}'
  if figure.kind == 'reconstruction':
    return [heading, *_reconstructions(figure, shown, directory)]
  drawn = (
    study_figures.draw_learning_curves(
      {
        label: [part.run for system in of_label for part in system.runs]
        for label, of_label in shown.items()
      }
    )
    if figure.kind == 'learning_curves'
    else _ensemble_sizes(study, figure, results)
  )
  if drawn is None:
    return []
  file = f'plots/{figure.name}.png'
  plots.save(drawn, os.path.join(directory, file))
  return [heading, f'![{title}]({file})', _CAPTIONS[figure.kind]]


def _ensemble_sizes(
  study: Study, figure: Figure, results: Sequence[evaluation.Result]
) -> plots.Figure | None:
  sizes = {}
  for label in figure.systems:
    config = study.system_config(label, study.seeds[0])
    sizes[config.task.model.ensemble_size] = label
  teacher = study.teacher_of[figure.systems[0]]
  of_teacher = (r.member_accuracies for r in results if r.model == teacher)
  # Older results do not know their members, and a given teacher may have others
  # than the configuration.
  size = len(next(of_teacher, ())) or (
    study.teacher_config(teacher).teacher.ensemble_size
  )
  return study_figures.draw_ensemble_sizes(results, sizes, size, teacher)


def _reconstructions(
  figure: Figure,
  teachers: Mapping[str, Sequence[evaluation.System]],
  directory: str,
) -> list[str]:
  """Returns the sections on how near a BatchEnsemble comes to each teacher."""
  sections = [_ERRORS + (_ALIGNED if figure.aligned else '')]
  for label, (teacher,) in teachers.items():
    folder = os.path.join('reconstruction', label)
    table = reports.write_reconstruction(
      teacher.model,
      os.path.join(directory, folder),
      figure.ranks,
      figure.aligned,
    )
    title = markup.escaped(figure.title)
    sections += [table, f'![{title}]({folder}/plots/reconstruction.png)']
  return sections
