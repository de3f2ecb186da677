"""Tests of the pages that are generated from the code, and of links."""

import dataclasses
import pathlib
import re
import sys

from uncertainty_distill import configs

import pytest
import running

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_PAGES = sorted(
  path.relative_to(_ROOT).as_posix()
  for path in [*_ROOT.glob('*.md'), *_ROOT.glob('docs/**/*.md')]
)


@pytest.fixture(name='generators', autouse=True)
def _generators(monkeypatch):
  monkeypatch.syspath_prepend(_ROOT / 'docs/generate')
  yield
  for name in 'commands', 'configuration', 'notebook':
    sys.modules.pop(name, None)


def _leaves(config, prefix=''):
  """The values of a configuration, by their full names."""
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
  # Model Garden's have more values than have a use here.
  own = {n for n in values if n.split('.')[0] not in ('trainer', 'runtime')}
  assert own <= described.keys()
  assert configuration.experiment_names(_ROOT) == configs.experiment_names()


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
    # The site has this page of the notebook, and the generated ones.
    assert file.exists() or 'reference/' in target, target
