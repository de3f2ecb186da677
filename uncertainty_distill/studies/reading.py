"""Reads a study from its YAML file.

    title: Distillation on handwritten digits
    experiment: digits_wrn10_1     # a registered experiment
    params_override: {...}         # of every system and of the teachers
    seeds: [0, 1, 2]               # of every system but the teachers
    teachers:                      # by default deep_ensemble alone
      deep_ensemble: {}            # overrides of the experiment's `teacher`
      hyper_deep_ensemble: {search: {num_runs: 100}}
    systems:                       # from labels to overrides of their own
      batch_ensemble: {task: {objective: {kind: cross_entropy}}}
      head_student: {task: {objective: {kind: head}}}
      hyper_head_student:          # by default its teacher is the first one
        {teacher: hyper_deep_ensemble, task: {objective: {kind: head}}}
    temperature_scaled:            # also scored at a temperature fitted to
      scaled_batch_ensemble: batch_ensemble  # evaluation.temperature_examples
    merged:                        # also scored as one plain network, the mean
      merged_student: head_student # of the members
    tables:                        # by default none but that of the report
      table_1: {title: ..., rows: [deep_ensemble, head_student],
                paper: [cifar10.table_1], compared_with: [deep_ensemble]}
    figures:
      figure_1: {title: ..., kind: learning_curves, systems: [...]}
    claims:                        # decided over the seeds, see reports/claims
      a: {title: ..., kind: better, system: head_student,
          other: batch_ensemble, metrics: [nll, c_nll]}
      b: {title: ..., kind: not_worse, system: head_student,
          other: deep_ensemble, margins: {nll: 0.02}}
    export: head_student           # what to write as a SavedModel

A teacher serves all its students and every seed, as in the paper, and is
trained once. The first teacher is not trained if `task.objective.teacher` names
its run folders. A `task.objective.teacher_cache` in `params_override` is made
by the first student of a teacher and read by all its students.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from uncertainty_distill import configs, errors, metrics, reports, trained
from uncertainty_distill.errors import InputError
from uncertainty_distill.studies.spec import (
  FIGURE_KINDS,
  TEACHER,
  Figure,
  Study,
  Table,
)

# Reserved labels: other folders lie beside those of the runs, and the report's
# pictures lie beside the figures.
_FOLDERS = 'plots|saved_model|reconstruction|images'
_PICTURES = (
  r'severity(_boxes)?|diversity|risk_coverage|reliability(_severity_\d)?'
  r'|heat_map_\w+'
)

_FIELDS = {
  'title': str,
  'experiment': str,
  'params_override': dict,
  'seeds': list,
  'teachers': dict,
  'systems': dict,
  'temperature_scaled': dict,
  'merged': dict,
  'tables': dict,
  'figures': dict,
  'claims': dict,
  'export': str,
}
_TABLE_FIELDS = {
  'title': str,
  'rows': list,
  'paper': list,
  'compared_with': list,
}
_FIGURE_FIELDS = {
  'title': str,
  'kind': str,
  'systems': list,
  'ranks': list,
  'aligned': bool,
}
_CLAIM_FIELDS = {
  'title': str,
  'kind': str,
  'system': str,
  'other': str,
  'metrics': list,
  'margins': dict,
}
# The fields that have labels: those of models, then all.
_MODELS = ('teachers', 'systems', 'temperature_scaled', 'merged')
_LABELLED = (*_MODELS, 'tables', 'figures', 'claims')
# The fields that a part of a study must have.
_REQUIRED = {
  Table: ('rows',),
  Figure: ('systems', 'kind'),
  reports.Claim: ('kind', 'system', 'other'),
}
# The fields that a system must have as its teacher has them.
_SHARED = (
  'teacher',
  'evaluation',
  *(
    f'task.train_data.{name}'
    for name in (
      'name',
      'classes',
      'image_size',
      'image_fit',
      'train_split',
      'test_split',
      'test_fraction',
      'test_from_training',
      'skip_broken',
    )
  ),
  'task.validation_data',
  'task.objective.teacher',
)


def read_study(path: str, data_dir: str = '', tpu: str | None = None) -> Study:
  """Reads a study from its YAML file.

  Args:
    path: The file.
    data_dir: The folder of the TFDS datasets; empty for the study's own value.
    tpu: The TPU to use, if any.

  Raises:
    InputError: If the file, a name in it or a value is wrong.
  """
  values = configs.read_yaml(path, 'study')
  _check_fields(values, _FIELDS, '', path)
  for name in 'experiment', 'systems':
    if not values.get(name):
      raise InputError(f'{name} in {path}', None, 'a value')
  config = configs.load_config(values['experiment'])
  configs.override(config, values.get('params_override', {}), path)
  config.task.train_data.data_dir = data_dir or config.task.train_data.data_dir
  config.runtime.tpu = tpu or config.runtime.tpu
  teachers = values.get('teachers') or {TEACHER: {}}
  main_teacher = next(iter(teachers))
  systems, teacher_of = {}, {}
  for label, overrides in values['systems'].items():
    if not isinstance(overrides, dict):
      raise InputError(f'systems.{label} in {path}', overrides, 'a mapping')
    systems[label] = dict(overrides)
    teacher_of[label] = main_teacher
    if isinstance(overrides.get('teacher'), str):
      teacher_of[label] = systems[label].pop('teacher')
  study = Study(
    title=values.get('title', values['experiment']),
    config=config,
    seeds=tuple(values.get('seeds', [0])),
    main_teacher=main_teacher,
    teachers=teachers,
    systems=systems,
    teacher_of=teacher_of,
    temperature_scaled=values.get('temperature_scaled', {}),
    merged=values.get('merged', {}),
    tables=_parts(values, 'tables', _TABLE_FIELDS, Table, path),
    figures=_parts(values, 'figures', _FIGURE_FIELDS, Figure, path),
    claims=_parts(values, 'claims', _CLAIM_FIELDS, reports.Claim, path),
    export=values.get('export', ''),
  )
  _check(study, path)
  return study


def _check_fields(
  values: Mapping[str, Any],
  fields: Mapping[str, type],
  prefix: str,
  path: str,
) -> None:
  """Raises an InputError for an unknown name or a value of the wrong type."""
  for name, value in values.items():
    wanted = fields.get(name)
    if wanted is None or not isinstance(value, wanted):
      raise InputError(
        f'{prefix}{name} in {path}',
        value,
        wanted.__name__ if wanted else 'one of ' + ', '.join(fields),
        '' if wanted else errors.nearest(str(name), list(fields)),
      )


def _parts(
  values: Mapping[str, Any],
  name: str,
  fields: Mapping[str, type],
  kind: type,
  path: str,
) -> dict[str, Any]:
  """Returns the tables, the figures or the claims of a file."""
  parts = {}
  for label, part in values.get(name, {}).items():
    where = f'{name}.{label}'
    if not isinstance(part, dict):
      raise InputError(f'{where} in {path}', part, 'a mapping')
    _check_fields(part, fields, f'{where}.', path)
    for required in _REQUIRED[kind]:
      if not part.get(required):
        raise InputError(f'{where}.{required} in {path}', None, 'a value')
    fixed = {k: tuple(v) if isinstance(v, list) else v for k, v in part.items()}
    parts[label] = kind(name=label, **{'title': label, **fixed})
  return parts


def _check(study: Study, path: str) -> None:
  """Raises an InputError for mistakes that the fields' types do not show."""
  seeds = study.seeds
  if (
    not seeds
    or not all(type(s) is int and s >= 0 for s in seeds)  # A bool is no seed.
    or len(set(seeds)) < len(seeds)
  ):
    raise InputError(f'seeds in {path}', list(seeds), 'distinct integers >= 0')
  _check_labels(study, path)
  for label, overrides in study.teachers.items():
    if not isinstance(overrides, dict):
      raise InputError(f'teachers.{label} in {path}', overrides, 'a mapping')
    study.teacher_config(label)
  for label, teacher in study.teacher_of.items():
    if teacher not in study.teachers:
      raise InputError(
        f'systems.{label}.teacher in {path}',
        teacher,
        'one of ' + ', '.join(study.teachers),
        errors.nearest(teacher, list(study.teachers)),
      )
    _check_shared(study, label, path)
  if study.export:
    _check_among([study.export], list(study.systems), f'export in {path}')
  _check_references(study, path)


def _check_labels(study: Study, path: str) -> None:
  """Raises an InputError for a label that is invalid, reserved or repeated."""
  taken = set()
  for field in _LABELLED:
    reserved = _FOLDERS if field in _MODELS else ''
    if field == 'figures':
      reserved = _PICTURES
    for label in getattr(study, field):
      # YAML reads a bare 1 or yes as something other than text.
      if (
        not isinstance(label, str)
        or not re.fullmatch(r'\w+', label)
        or label in taken
        or re.fullmatch(reserved, label)
      ):
        raise InputError(
          f'{field} in {path}',
          label,
          'distinct labels of letters, digits and _'
          + (f', none of {reserved.replace("|", ", ")}' if reserved else ''),
        )
      taken.add(label)


def _check_references(study: Study, path: str) -> None:
  """Raises an InputError if a part of a study names something unknown."""
  _check_scaled(study, path)
  _check_merged(study, path)
  known = [*study.teachers, *study.systems, *study.derived]
  baseline = study.config.evaluation.mce_baseline
  if baseline and not configs.is_baseline_path(baseline):
    _check_among([baseline], known, f'evaluation.mce_baseline in {path}')
  published = [
    f'{dataset}.{name}'
    for dataset, tables in reports.load_paper_tables().items()
    for name in tables
  ]
  for name, table in study.tables.items():
    _check_among(table.rows, known, f'tables.{name}.rows in {path}')
    _check_among(table.paper, published, f'tables.{name}.paper in {path}')
    where = f'tables.{name}.compared_with in {path}'
    _check_among(table.compared_with, table.rows, where)
  _check_figures(study, path)
  of_seeds = [*study.systems]
  of_seeds += [k for k, base in study.derived.items() if base in study.systems]
  for name, claim in study.claims.items():
    where = f'claims.{name}'
    _check_among([claim.kind], reports.KINDS, f'{where}.kind in {path}')
    _check_among([claim.system], of_seeds, f'{where}.system in {path}')
    _check_among([claim.other], known, f'{where}.other in {path}')
    _check_claimed(claim, path)


def _check_scaled(study: Study, path: str) -> None:
  """Checks the systems that are scored at a temperature."""
  where = f'temperature_scaled in {path}'
  scaled = dict(study.temperature_scaled)
  _check_among(scaled.values(), [*study.teachers, *study.systems], where)
  if scaled and not study.config.evaluation.temperature_examples:
    raise InputError(
      where,
      scaled,
      'left out unless there are examples to fit temperatures to',
      'set evaluation.temperature_examples in params_override',
    )


def _check_figures(study: Study, path: str) -> None:
  """Checks each figure, and that reconstructions need different folders."""
  reconstructed = []
  for figure in study.figures.values():
    _check_figure(study, figure, path)
    if figure.kind == 'reconstruction':
      reconstructed += figure.systems
  if len(set(reconstructed)) < len(reconstructed):
    raise InputError(
      f'figures in {path}',
      reconstructed,
      'at most one reconstruction of each teacher',
    )


def _check_figure(study: Study, figure: Figure, path: str) -> None:
  """Raises an InputError before training if a figure cannot be drawn."""
  where, ranks = f'figures.{figure.name}', list(figure.ranks)
  _check_among([figure.kind], FIGURE_KINDS, f'{where}.kind in {path}')
  shown = study.systems
  if figure.kind == 'reconstruction':
    shown = study.teachers
  _check_among(figure.systems, list(shown), f'{where}.systems in {path}')
  are_ranks = all(type(rank) is int and rank >= 1 for rank in ranks)
  # A value that is not an integer may not be hashable.
  if not are_ranks or len(set(ranks)) < len(ranks):
    raise InputError(
      f'{where}.ranks in {path}', ranks, 'distinct integers >= 1'
    )
  if figure.kind == 'ensemble_size':
    sizes = {
      study.system_config(label, study.seeds[0]).task.model.ensemble_size
      for label in figure.systems
    }
    teachers = {study.teacher_of[label] for label in figure.systems}
    if len(sizes) < len(figure.systems) or len(teachers) > 1:
      raise InputError(
        f'{where}.systems in {path}',
        list(figure.systems),
        'students of the same teacher, each with a different ensemble size',
      )


def _check_merged(study: Study, path: str) -> None:
  """Raises an InputError for systems whose members cannot be merged."""
  where = f'merged in {path}'
  _check_among(study.merged.values(), list(study.systems), where)
  for base in study.merged.values():
    config = study.system_config(base, study.seeds[0])
    trained.check_mergeable(config.task.model, where, base)


def _check_claimed(claim: reports.Claim, path: str) -> None:
  """Raises an InputError unless a claim has the metrics or margins it needs."""
  field, other = 'metrics', 'margins'
  if claim.kind != 'better':
    field, other = other, field
  where = f'claims.{claim.name}.{field} in {path}'
  if not getattr(claim, field) or getattr(claim, other):
    raise InputError(
      where,
      getattr(claim, field),
      f'given, and {other} left out, for {claim.kind}',
    )
  known = [
    prefix + n for prefix in ('', metrics.CORRUPTED) for n in metrics.METRICS
  ]
  _check_among(claim.tested, known, where)
  for margin in claim.margins.values():
    if not isinstance(margin, (int, float)) or not margin > 0:
      raise InputError(where, margin, 'margins above 0')


def _check_among(
  values: Iterable[Any], known: Sequence[str], where: str
) -> None:
  for value in values:
    if value not in known:
      raise InputError(
        where,
        value,
        f'one of {", ".join(known)}',
        errors.nearest(str(value), list(known)),
      )


def _check_shared(study: Study, label: str, path: str) -> None:
  """Raises an InputError if a system overrides what all systems share."""
  own = study.system_config(label, study.seeds[0])
  shared = study.teacher_config(study.teacher_of[label])
  for name in _SHARED:
    value = operator.attrgetter(name)
    if value(own) != value(shared):
      raise InputError(
        f'systems.{label} in {path}',
        study.systems[label],
        f'overrides that leave {name} as it is for the other systems',
        'set it in params_override',
      )
