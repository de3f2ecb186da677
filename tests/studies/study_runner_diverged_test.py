"""Tests of a study in which a teacher and a system diverge."""

import os

from uncertainty_distill import evaluation, studies
from uncertainty_distill.errors import DivergedError

import pytest
import tiny_study

pytestmark = pytest.mark.usefixtures('undrawn')

_SINGLE = tiny_study.STUDY['systems']['single_network']['task']
# The loss overflows in the first step.
_DIVERGES = {'l2': 1e38}


def _study(path, **changes):
  override = tiny_study.STUDY['params_override']
  teacher = override['teacher'] | _DIVERGES
  return tiny_study.read(
    path,
    params_override=override | {'teacher': teacher},
    seeds=[4],
    **changes,
  )


def test_the_study_goes_on_without_what_diverges(tmp_path, caplog):
  systems = tiny_study.STUDY['systems'] | {
    'wild_network': {'task': _SINGLE | _DIVERGES}
  }
  study = _study(tmp_path / 'study.yaml', systems=systems)
  path = str(tmp_path / 'output')
  outcome = studies.run_study(study, path, tiny_study.cpu())
  assert outcome.missing == (
    'deep_ensemble',
    'head_student, seed 4',
    'wild_network, seed 4',
  )
  said = [
    record.message for record in caplog.records if 'scheduling' in record.name
  ]
  assert [line.split(': ')[0] for line in said] == [
    f'{path}/deep_ensemble/member_0',
    'deep_ensemble is left out',
    'head_student, seed 4 is left out',
    f'{path}/wild_network/seed_4',
  ]
  assert ': l2' in said[0] or ': gradient_norm, training_loss' in said[0]
  # The remaining system has results; the one to be exported does not remain.
  results, _ = evaluation.read_json(os.path.join(path, 'results.json'))
  assert {(r.model, r.seed) for r in results} == {('single_network', 4)}
  assert outcome.tables and not outcome.saved_model


def test_nothing_is_left(tmp_path):
  study = _study(
    tmp_path / 'study.yaml',
    export='',
    systems={'wild_network': {'task': _SINGLE | _DIVERGES}},
  )
  with pytest.raises(DivergedError, match='nothing is left to evaluate'):
    studies.run_study(study, str(tmp_path / 'output'), tiny_study.cpu())
