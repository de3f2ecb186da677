"""Tests of the pages that are generated from the code, and of links."""

import dataclasses
import json
import pathlib
import re
import sys

import uncertainty_distill as ud
from uncertainty_distill import configs, metrics, models, plots
from uncertainty_distill.reports import tables

import pytest
import running
import yaml

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_PAGES = sorted(
  path.relative_to(_ROOT).as_posix()
  for path in [*_ROOT.glob('*.md'), *_ROOT.glob('docs/**/*.md')]
)
# Only the website has these pages.
_GENERATED = [
  f'docs/reference/{name}.md' for name in ('api', 'commands', 'configuration')
]


@pytest.fixture(name='generators', autouse=True)
def _generators(monkeypatch):
  monkeypatch.syspath_prepend(_ROOT / 'docs/generate')
  yield
  for name in 'commands', 'configuration', 'paper':
    sys.modules.pop(name, None)


def _leaves(config, prefix=''):
  """Yields the values of a configuration with their full names."""
  for field in dataclasses.fields(config):
    value, name = getattr(config, field.name), f'{prefix}{field.name}'
    if dataclasses.is_dataclass(value):
      yield from _leaves(value, f'{name}.')
    else:
      yield name, value


def test_every_configuration_value_is_described_with_its_default():
  import configuration

  described = {
    f'{group.prefix}.{field.name}'.lstrip('.'): field
    for group in configuration.groups(_ROOT)
    for field in group.fields
  }
  values = dict(_leaves(configs.ExperimentConfig()))
  for name, field in described.items():
    assert repr(values[name]) == repr(eval(field.default)), name
  # Model Garden's sections have more values than are used here.
  own = {n for n in values if n.split('.')[0] not in ('trainer', 'runtime')}
  assert own <= described.keys()
  assert configuration.experiment_names(_ROOT) == configs.experiment_names()


def _of_each_kind():
  """Yields a configuration of each architecture."""
  for field in dataclasses.fields(models.ArchitectureChoice):
    config = configs.ExperimentConfig()
    if field.name != 'type':
      config.task.model.architecture.type = field.name
      config.teacher.architecture.type = field.name
    yield config


def _has(value, name):
  for part in name.split('.'):
    if not hasattr(value, part):
      return False
    value = getattr(value, part)
  return True


@pytest.mark.parametrize('page', _PAGES)
def test_configuration_values_on_pages_exist(page):
  text = (_ROOT / page).read_text()
  named = set(
    re.findall(
      r'(?<![\w./])(?:task|trainer|teacher|evaluation|runtime)(?:\.\w+)+(?=`|=)',
      text,
    )
  )
  for name in named:
    # The fields of each kind of network count as fields of the model.
    assert any(_has(config, name) for config in _of_each_kind()), name


def test_the_flags_are_those_that_help_shows():
  import commands

  for command in 'distill', 'export':
    shown = running.run(command, '--help').stdout
    told = {flag.name for flag in commands.flags(_ROOT, command)}
    assert told == set(re.findall(r'^  --(?:\[no\])?(\w+):', shown, re.M))


@pytest.mark.parametrize('page', _PAGES)
def test_links_lead_to_files(page):
  text = re.sub(r'```.*?```', '', (_ROOT / page).read_text(), flags=re.S)
  for target in re.findall(r'\]\((?!\w+:|#)([^)\s]+)\)', text):
    file = (_ROOT / page).parent / target.partition('#')[0]
    path = file.resolve().relative_to(_ROOT).as_posix()
    assert file.exists() or path in _GENERATED, target


def test_pages_have_the_numbers_of_each_system():
  import paper

  page = (_ROOT / 'docs/paper/systems.md').read_text()
  shown = paper.with_numbers(page, _ROOT)
  assert '<!-- numbers' not in shown
  # The numbers of the BatchEnsemble, as published for CIFAR-10.
  assert '| Paper, CIFAR-10 | 0.962 ± 0.001 | 0.018 ± 0.001 |' in shown
  with pytest.raises(KeyError):
    paper.with_numbers('<!-- numbers: nothing -->', _ROOT)


def _tables(page):
  """Yields the rows of each table below a comment with the results' file."""
  text = (_ROOT / page).read_text()
  found = re.findall(r'<!-- results: (\S+) -->\n+((?:\|.*\n)+)', text)
  assert len(found) == text.count('<!-- results: ')
  for file, table in found:
    lines = [
      [cell.strip(' *') for cell in line.strip('|').split('|')]
      for line in table.splitlines()
    ]
    header, _, *rows = lines
    yield file, [dict(zip(header, row)) for row in rows]


# Columns of tables that are no results.
_NOT_IN_FILES = {'Model', 'Parameters', 'Step', 'Answer'}


@pytest.mark.parametrize(
  'page', [p for p in _PAGES if '<!-- results: ' in (_ROOT / p).read_text()]
)
def test_tables_show_what_the_result_files_have(page):
  columns = {
    metrics.metric_spec(name).column: name
    for metric in metrics.METRICS
    for name in (metric, metrics.CORRUPTED + metric)
  }
  checked = 0
  for file, rows in _tables(page):
    results = json.loads((_ROOT / file).read_text())
    by_heading = {plots.display_name(label): label for label in results}
    for row in rows:
      values = results[by_heading[row['Model']]]
      assert row.keys() - columns.keys() <= _NOT_IN_FILES
      for heading in columns.keys() & row.keys():
        name = columns[heading]
        found = values.get(name, {'mean': None, 'std': None})
        cell = tables.metric_cell(
          *found.values(), metrics.metric_spec(name).scale
        )
        assert row[heading] == cell, (file, row['Model'], heading)
        checked += 1
  assert checked


def test_the_readme_is_short():
  assert len((_ROOT / 'README.md').read_text().splitlines()) < 150


def test_the_version_is_said_as_the_package_has_it():
  citation = yaml.safe_load((_ROOT / 'CITATION.cff').read_text())
  assert citation['version'] == ud.__version__
  changes = (_ROOT / 'CHANGELOG.md').read_text()
  released = re.findall(r'^## \[?(\d[\d.]*)', changes, re.M)
  assert released[0] == ud.__version__
