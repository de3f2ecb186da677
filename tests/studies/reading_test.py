"""Tests of reading a study's file, and of mistakes in such files."""

import pathlib

from uncertainty_distill import configs, data, studies
from uncertainty_distill.errors import InputError

import pytest
import yaml
from refusals import refused

_STUDIES = sorted(
  (pathlib.Path(__file__).parents[2] / 'configs' / 'studies').glob('*.yaml')
)


def _write(path, **changes):
  """Writes a study; None leaves a field out."""
  values = {
    'title': 'Small',
    'experiment': 'digits_wrn10_1',
    'params_override': {'task': {'l2': 0.5, 'model': {'ensemble_size': 2}}},
    'seeds': [3, 1],
    'systems': {
      'lone': {'task': {'model': {'ensemble_size': 1}}},
      'head_2': {'task': {'objective': {'kind': 'head'}}},
    },
    'export': 'head_2',
  } | changes
  path.write_text(
    yaml.safe_dump(
      {k: v for k, v in values.items() if v is not None}, sort_keys=False
    )
  )
  return str(path)


def test_a_study_is_read(tmp_path):
  study = studies.read_study(_write(tmp_path / 'study.yaml'))
  assert (study.title, study.seeds, study.export) == ('Small', (3, 1), 'head_2')
  assert list(study.systems) == ['lone', 'head_2']
  lone, head = (study.system_config(s, 3) for s in ('lone', 'head_2'))
  assert lone.task.seed == head.task.seed == 3
  assert lone.task.l2 == head.task.l2 == study.config.task.l2 == 0.5
  assert lone.task.model.ensemble_size == 1
  assert head.task.model.ensemble_size == 2
  assert [c.task.objective.kind for c in (lone, head)] == ['knowledge', 'head']
  # The shared experiment, which the teacher is trained by, has its own seed.
  assert study.config.task.seed == 0
  assert study.config.task.model.ensemble_size == 2


def test_what_may_be_left_out(tmp_path):
  study = studies.read_study(
    _write(
      tmp_path / 'study.yaml',
      title=None,
      params_override=None,
      seeds=None,
      export=None,
    ),
    data_dir='there',
    tpu='local',
  )
  assert (study.title, study.seeds, study.export) == (
    'digits_wrn10_1',
    (0,),
    '',
  )
  assert study.config.task.train_data.data_dir == 'there'
  assert study.config.runtime.tpu == 'local'


@pytest.mark.parametrize(
  'changes, name, value',
  [
    ({'titel': 'x'}, 'titel in STUDY', 'x'),
    ({'title': 5}, 'title in STUDY', 5),
    ({'params_override': 'task.l2=1'}, 'params_override in STUDY', 'task.l2=1'),
    ({'seeds': 3}, 'seeds in STUDY', 3),
    ({'systems': ['lone']}, 'systems in STUDY', ['lone']),
    ({'experiment': None}, 'experiment in STUDY', None),
    ({'systems': None}, 'systems in STUDY', None),
    ({'systems': {}}, 'systems in STUDY', None),
    ({'experiment': 'digits'}, 'experiment', 'digits'),
    ({'params_override': {'task': {'l': 1}}}, 'task.l in STUDY', 1),
    ({'params_override': {'task': {'l2': 'x'}}}, 'task.l2 in STUDY', 'x'),
    ({'seeds': []}, 'seeds in STUDY', []),
    ({'seeds': [1, 1]}, 'seeds in STUDY', [1, 1]),
    ({'seeds': [-1]}, 'seeds in STUDY', [-1]),
    ({'seeds': [True]}, 'seeds in STUDY', [True]),
    ({'seeds': ['a']}, 'seeds in STUDY', ['a']),
    ({'systems': {'deep_ensemble': {}}}, 'systems in STUDY', 'deep_ensemble'),
    ({'systems': {'saved_model': {}}}, 'systems in STUDY', 'saved_model'),
    ({'systems': {'a/b': {}}}, 'systems in STUDY', 'a/b'),
    ({'systems': {'../a': {}}}, 'systems in STUDY', '../a'),
    ({'systems': {1: {}}}, 'systems in STUDY', 1),
    ({'systems': {'a': None}}, 'systems.a in STUDY', None),
    # It would be scored on images that it was trained on.
    (
      {
        'systems': {
          'lone': {'task': {'train_data': {'test_from_training': 9}}},
          'other': {},
        }
      },
      'systems.lone in STUDY',
      {'task': {'train_data': {'test_from_training': 9}}},
    ),
    (
      {'temperature_scaled': {'lone': 'lone'}},
      'temperature_scaled in STUDY',
      'lone',
    ),
    (
      {'temperature_scaled': {'a': 'loan'}},
      'temperature_scaled in STUDY',
      'loan',
    ),
    (
      # There are no examples to fit temperatures to.
      {'temperature_scaled': {'a': 'lone'}},
      'temperature_scaled in STUDY',
      {'a': 'lone'},
    ),
    ({'merged': {'a': 'head'}}, 'merged in STUDY', 'head'),
    (
      {'params_override': {'evaluation': {'mce_baseline': 'loan'}}},
      'evaluation.mce_baseline in STUDY',
      'loan',
    ),
    # Its file would have the name of the report's own picture.
    *(
      (
        {'figures': {name: {'systems': ['lone'], 'kind': 'pie'}}},
        'figures in STUDY',
        name,
      )
      for name in ('severity', 'risk_coverage')
    ),
    # Both would be drawn into one folder.
    (
      {
        'figures': {
          name: {'systems': ['deep_ensemble'], 'kind': 'reconstruction'}
          for name in ('first', 'second')
        }
      },
      'figures in STUDY',
      ['deep_ensemble', 'deep_ensemble'],
    ),
    # A teacher has no seeds, whatever its temperature.
    (
      {
        'params_override': {'evaluation': {'temperature_examples': 9}},
        'temperature_scaled': {'a': 'deep_ensemble'},
        'claims': {
          'c': {
            'kind': 'better',
            'system': 'a',
            'other': 'lone',
            'metrics': ['nll'],
          }
        },
      },
      'claims.c.system in STUDY',
      'a',
    ),
    # Neither a single network nor a teacher can be merged.
    ({'merged': {'a': 'lone'}}, 'merged in STUDY', 'lone'),
    ({'merged': {'a': 'deep_ensemble'}}, 'merged in STUDY', 'deep_ensemble'),
    (
      {
        'systems': {'signs': {'task': {'model': {'fast_weights': 'signs'}}}},
        'merged': {'a': 'signs'},
        'export': None,
      },
      'merged in STUDY',
      'signs',
    ),
    ({'systems': {'a': {'tusk': {}}}}, 'tusk in systems.a', {}),
    ({'systems': {'a': {'task': {'l2': True}}}}, 'task.l2 in systems.a', True),
    (
      {'systems': {'a': {'teacher': {'width': 3}}}},
      'systems.a in STUDY',
      {'teacher': {'width': 3}},
    ),
    (
      {'systems': {'a': {'task': {'train_data': {'name': 'cifar10'}}}}},
      'systems.a in STUDY',
      {'task': {'train_data': {'name': 'cifar10'}}},
    ),
    ({'export': 'heads'}, 'export in STUDY', 'heads'),
    ({'teachers': {'t': 3}}, 'teachers.t in STUDY', 3),
    ({'teachers': {'lone': {}}}, 'systems in STUDY', 'lone'),
    ({'teachers': {'t': {'widht': 3}}}, 'teacher.widht in teachers.t', 3),
    ({'systems': {'a': {'teacher': 'b'}}}, 'systems.a.teacher in STUDY', 'b'),
    ({'tables': {'t': {'rows': ['b']}}}, 'tables.t.rows in STUDY', 'b'),
    ({'tables': {'t': {'rows': []}}}, 'tables.t.rows in STUDY', None),
    (
      {'tables': {'t': {'rows': ['lone'], 'compared_with': ['b']}}},
      'tables.t.compared_with in STUDY',
      'b',
    ),
    ({'tables': {'t': {'lines': []}}}, 'tables.t.lines in STUDY', []),
    (
      {'tables': {'t': {'rows': ['lone'], 'paper': ['cifar10.table_9']}}},
      'tables.t.paper in STUDY',
      'cifar10.table_9',
    ),
    (
      {'figures': {'f': {'systems': ['lone']}}},
      'figures.f.kind in STUDY',
      None,
    ),
    (
      {'figures': {'f': {'systems': ['lone'], 'kind': 'pie'}}},
      'figures.f.kind in STUDY',
      'pie',
    ),
    (
      {'figures': {'f': {'systems': ['lone'], 'kind': 'reconstruction'}}},
      'figures.f.systems in STUDY',
      'lone',
    ),
    (
      {
        'figures': {
          'f': {
            'systems': ['deep_ensemble'],
            'ranks': [0],
            'kind': 'reconstruction',
          }
        }
      },
      'figures.f.ranks in STUDY',
      [0],
    ),
    (
      {
        'figures': {
          'f': {
            'systems': ['deep_ensemble'],
            'ranks': [1, 1],
            'kind': 'reconstruction',
          }
        }
      },
      'figures.f.ranks in STUDY',
      [1, 1],
    ),
    (
      {
        'figures': {
          'f': {
            'systems': ['deep_ensemble'],
            'ranks': [[1]],
            'kind': 'reconstruction',
          }
        }
      },
      'figures.f.ranks in STUDY',
      [[1]],
    ),
    (
      {
        'systems': {'a': {}, 'b': {}},
        'export': None,
        'figures': {'f': {'systems': ['a', 'b'], 'kind': 'ensemble_size'}},
      },
      'figures.f.systems in STUDY',
      ['a', 'b'],
    ),
    *(
      (
        {
          'claims': {
            'c': {'kind': 'better', 'system': 'lone', 'other': 'head_2'} | claim
          }
        },
        f'claims.c.{field} in STUDY',
        value,
      )
      for claim, field, value in [
        ({'kind': 'best'}, 'kind', 'best'),
        ({'system': 'deep_ensemble'}, 'system', 'deep_ensemble'),
        ({'other': 'b'}, 'other', 'b'),
        ({}, 'metrics', ()),
        ({'metrics': ['c_nil']}, 'metrics', 'c_nil'),
        ({'metrics': ['nll'], 'margins': {'nll': 1}}, 'metrics', ('nll',)),
        ({'kind': 'equal', 'metrics': ['nll']}, 'margins', {}),
        ({'kind': 'equal', 'margins': {'nll': 0}}, 'margins', 0),
      ]
    ),
  ],
)
def test_mistakes_in_a_study_are_named(changes, name, value, tmp_path):
  path = _write(tmp_path / 'study.yaml', **changes)
  with refused(name.replace('STUDY', str(path)), value):
    studies.read_study(path)


def _with_two_teachers(path):
  return studies.read_study(
    _write(
      path,
      teachers={'plain': {'width': 2}, 'wide': {'width': 3}},
      systems={
        'alone': {'task': {'objective': {'kind': 'cross_entropy'}}},
        'plain_student': {},
        'wide_student': {'teacher': 'wide', 'task': {'l2': 0.25}},
      },
      tables={'table': {'rows': ['plain', 'alone']}},
      figures={
        'figure': {
          'kind': 'learning_curves',
          'systems': ['alone', 'wide_student'],
        }
      },
      export='plain_student',
    )
  )


def test_each_system_has_its_teacher(tmp_path):
  study = _with_two_teachers(tmp_path / 'study.yaml')
  assert study.teacher_config('wide').teacher.width == 3
  plain, wide = (
    study.system_config(label, 0) for label in ('plain_student', 'wide_student')
  )
  assert (plain.teacher.width, wide.teacher.width) == (2, 3)
  assert (plain.task.l2, wide.task.l2) == (0.5, 0.25)
  study.config.task.objective.teacher = ('given',)
  assert study.given_teacher('plain') == ('given',)
  assert study.given_teacher('wide') == ()


@pytest.mark.parametrize(
  'names, teachers, systems, parts',
  [
    (['plain_student'], ['plain'], ['plain_student'], []),
    (['alone'], [], ['alone'], []),
    (['wide'], ['wide'], [], []),
    (['table'], ['plain'], ['alone'], ['table']),
    (
      ['figure', 'plain'],
      ['plain', 'wide'],
      ['alone', 'wide_student'],
      ['figure'],
    ),
  ],
)
def test_a_part_of_a_study_has_what_it_needs(
  names, teachers, systems, parts, tmp_path
):
  whole = _with_two_teachers(tmp_path / 'study.yaml')
  part = whole.select(names)
  assert list(part.teachers) == teachers
  assert list(part.systems) == systems
  assert [*part.tables, *part.figures] == parts
  assert part.export == ('plain_student' if 'plain_student' in systems else '')
  assert part.main_teacher == 'plain'


def test_some_seeds_of_a_study(tmp_path):
  whole = studies.read_study(_write(tmp_path / 'study.yaml'))
  part = whole.select(['lone']).select_seeds([1])
  assert (part.seeds, list(part.systems)) == ((1,), ['lone'])
  assert part.whole == whole and whole.seeds == (3, 1)
  assert whole.select_seeds([1, 3]).seeds == (3, 1)
  with refused('seeds', 2):
    whole.select_seeds([1, 2])


@pytest.mark.parametrize(
  'changes, near',
  [
    ({'systems': {'a': {'tusk': {}}}}, 'task'),
    ({'teachers': {'t': {'widht': 3}}}, 'width'),
  ],
)
def test_misspelled_names_bring_the_nearest_one(changes, near, tmp_path):
  path = _write(tmp_path / 'study.yaml', **changes)
  with pytest.raises(InputError) as caught:
    studies.read_study(path)
  assert repr(near) in caught.value.hint


def test_an_unknown_part_is_refused(tmp_path):
  whole = _with_two_teachers(tmp_path / 'study.yaml')
  with refused('only', 'tabel'):
    whole.select(['tabel'])


@pytest.mark.parametrize(
  'content, expected',
  [(None, 'readable'), ('- a', 'mapping'), ('a: [', 'readable')],
)
def test_what_is_no_study_is_refused(content, expected, tmp_path):
  path = tmp_path / 'study.yaml'
  if content is not None:
    path.write_text(content)
  with refused('study', str(path), expected):
    studies.read_study(str(path))


@pytest.mark.parametrize('path', _STUDIES, ids=lambda path: path.stem)
def test_the_studies_that_come_along_can_be_run(path):
  study = studies.read_study(str(path))
  dataset = data.open_configured(study.config.task.train_data)
  for label in study.teachers:
    configs.resolve(configs.member_config(study.teacher_config(label)), dataset)
  for label in study.systems:
    config = configs.resolve(
      study.system_config(label, study.seeds[0]), dataset
    )
    assert config.task.objective.kind in ('cross_entropy', 'knowledge', 'head')
