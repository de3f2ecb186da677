"""Tests of whole runs with options beyond the paper: resumed, on replicas."""

from uncertainty_distill import runs

import experiments
import pytest
import run_weights

pytestmark = pytest.mark.slow

_OPTIONS = {
  'views': (
    'task.objective.mixup=0.4,task.objective.weight=1,'
    'task.objective.perturbation=conf_ods,'
    'task.train_data.unlabeled=rest,task.train_data.unlabeled_share=0.5'
  ),
  'own examples': (
    'task.train_data.members_per_example=1,'
    'task.train_data.unlabeled=rest,task.train_data.unlabeled_share=0.25'
  ),
  'two members an example': (
    'task.train_data.members_per_example=2,task.model.norm=member'
  ),
  'decay': 'task.fast_weight_decay=0.1',
  'hydra': 'task.model.ensemble_type=hydra',
}


@pytest.fixture(name='config', params=_OPTIONS, scope='module')
def _config(request, student):
  """The student with an option, for three steps of head distillation."""
  (teacher,) = student.task.objective.teacher
  members = ','.join([teacher] * student.task.model.ensemble_size)
  return experiments.eager(
    experiments.changed(
      student,
      f'task.objective.kind=head,task.objective.teacher=[{members}],'
      f'trainer.train_steps=3,{_OPTIONS[request.param]}',
    )
  )


@pytest.fixture(name='whole', scope='module')
def _whole(config, one_device, tmp_path_factory):
  path = str(tmp_path_factory.mktemp('runs') / 'whole')
  return experiments.train_run(config, path, one_device, evaluate=False)


def test_a_stopped_run_goes_on_as_if_it_had_not_been(
  config, whole, one_device, tmp_path, interrupted_after
):
  path = str(tmp_path)
  with interrupted_after(2), pytest.raises(KeyboardInterrupt):
    experiments.train_run(config, path, one_device, evaluate=False)
  assert runs.open_run(path, '--run').step == 2
  run = experiments.train_run(config, path, one_device, evaluate=False)
  run_weights.assert_same_bits(run, whole)


def test_two_replicas_take_the_same_steps_as_one(
  config, whole, tmp_path, replicas
):
  run = experiments.train_run(config, str(tmp_path), replicas, evaluate=False)
  run_weights.assert_same_but_for_rounding(run, whole, 3)
