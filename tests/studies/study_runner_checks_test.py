"""Tests of the mistakes that a study finds before it trains anything."""

import os

from uncertainty_distill import reports, studies
from uncertainty_distill.training import distillation, session

import pytest
import tiny_study
from refusals import refused


@pytest.mark.parametrize(
  'changes, name, value',
  [
    (
      {'systems': {'a': {'task': {'model': {'depth': 11}}}}},
      'task.model.depth',
      11,
    ),
    (
      {
        'systems': {
          'a': {
            'task': {
              'objective': {'kind': 'head'},
              'model': {'ensemble_size': 3},
            }
          }
        }
      },
      'task.objective.kind',
      'head',
    ),
    (
      {
        'systems': {
          'a': {
            'task': {
              'objective': {'kind': 'head', 'weight_tie': 0.1},
              'model': {'width': 2},
            }
          }
        }
      },
      'teacher.width',
      1,
    ),
    ({'params_override': {'teacher': {'width': 0}}}, 'teacher.width', 0),
    (
      {'params_override': {'evaluation': {'mce_baseline': 'gone.json:a'}}},
      'evaluation.mce_baseline',
      os.path.abspath('gone.json'),
    ),
    (
      {'params_override': {'evaluation': {'corruptions': ['x']}}},
      'corruption',
      'x',
    ),
    (
      {'params_override': {'task': {'objective': {'teacher': ['gone']}}}},
      'task.objective.teacher',
      'gone',
    ),
    (
      {
        'figures': {
          'r': {
            'title': 'R',
            'kind': 'reconstruction',
            'systems': ['deep_ensemble'],
            'ranks': [1, 577],
          }
        }
      },
      'figures.r.ranks',
      577,
    ),
    (
      {
        'params_override': {'teacher': {'ensemble_size': 1}},
        'systems': {'a': {}},
        'figures': {
          'r': {
            'title': 'R',
            'kind': 'reconstruction',
            'systems': ['deep_ensemble'],
          }
        },
      },
      'figures.r.systems',
      'deep_ensemble',
    ),
  ],
)
def test_mistakes_are_found_before_anything_is_written(
  changes, name, value, tmp_path, monkeypatch
):
  monkeypatch.setattr(session, 'Trainer', None)
  changes = {'export': ''} | changes
  study = tiny_study.read(tmp_path / 'study.yaml', **changes)
  with refused(name, value):
    studies.run_study(study, str(tmp_path / 'output'), tiny_study.cpu())
  assert not (tmp_path / 'output').exists()


def test_a_given_teacher_is_taken_and_checked(done, tmp_path, monkeypatch):
  _, outcome, _ = done
  members = [
    os.path.join(outcome.directory, name) for name in tiny_study.RUNS[:2]
  ]
  head = {'a': {'task': {'objective': {'kind': 'head'}}}}
  taken = []
  monkeypatch.setattr(
    distillation,
    'train',
    lambda experiment, *_: taken.append(experiment.config),
  )
  monkeypatch.setattr(reports, 'assess', lambda *_, **__: '')
  for teacher in members, members[:1]:
    override = {
      'task': {'objective': {'teacher': teacher}, 'model': {'ensemble_size': 2}}
    }
    study = tiny_study.read(
      tmp_path / 'study.yaml',
      systems=head,
      seeds=[0],
      export='',
      params_override=override,
    )
    if len(teacher) == 2:
      studies.run_study(study, str(tmp_path), tiny_study.cpu())
      assert taken.pop().task.objective.teacher == tuple(members)
    else:
      with refused('task.objective.kind', 'head'):
        studies.run_study(study, str(tmp_path), tiny_study.cpu())
  assert not taken
