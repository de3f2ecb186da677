"""Tests that an experiment is resolved and opened only once."""

from uncertainty_distill import configs, data, losses, runs
from uncertainty_distill.training import opened_experiment, session, teacher

import experiments
import pytest
import refusals
import tensorflow as tf

_CPU = tf.distribute.OneDeviceStrategy('CPU:0')


@pytest.fixture(name='resolved')
def fixture_resolved(monkeypatch):
  """The configurations that are resolved from here on."""
  resolved, resolve = [], configs.resolve

  def count(config, *args, **kwargs):
    resolved.append(config)
    return resolve(config, *args, **kwargs)

  monkeypatch.setattr(configs, 'resolve', count)
  return resolved


@pytest.fixture(name='trained')
def fixture_trained(monkeypatch):
  """The experiments to train from here on; none is really trained."""
  trained = []

  def train(experiment, model_dir, *args, **kwargs):
    del args, kwargs
    trained.append(experiment)
    return runs.match_run(model_dir, experiment.config)

  monkeypatch.setattr(session, 'train', train)
  return trained


def _config(text=''):
  return configs.load_config('digits_wrn10_1', params_override=text)


def test_distillation_resolves_the_student_and_each_member_once(
  resolved, trained, tmp_path
):
  config = _config('teacher.ensemble_size=3')
  run = experiments.distill(config, str(tmp_path / 'student'), _CPU)
  assert len(resolved) == 4
  assert [config.task.model.ensemble_size for config in resolved] == [
    4,
    1,
    1,
    1,
  ]
  assert len({config.task.seed for config in resolved}) == 4
  *members, student = trained
  assert [e.config.task.seed for e in members] == [1000, 1001, 1002]
  assert (
    student.config.task.objective.teacher == run.config.task.objective.teacher
  )
  assert len(run.config.task.objective.teacher) == 3
  # The user's configuration is unchanged.
  assert config.task.objective.teacher == ()


def test_training_alone_resolves_once(resolved, trained, tmp_path):
  experiments.train(_config(), str(tmp_path / 'run'), _CPU)
  assert len(resolved) == len(trained) == 1


def test_a_dataset_is_opened_once(monkeypatch):
  opened, open_configured = [], data.open_configured

  def count(train_data):
    opened.append(train_data)
    return open_configured(train_data)

  experiment = experiments.opened(_config(), _CPU)
  monkeypatch.setattr(opened_experiment.data, 'open_configured', count)
  experiment.check()
  experiment.check()
  assert len(opened) == 1
  assert experiment.evaluation_sets.clean is experiment.dataset.test
  assert experiment.training_set.source is experiment.dataset.train


def test_what_no_temperature_can_be_fitted_to_is_refused_before_training():
  config = _config(
    'task.train_data.num_examples=700,evaluation.temperature_examples=9'
  )
  with refusals.refused('evaluation.temperature_examples', '9'):
    experiments.opened(config, _CPU).check()


def test_a_refused_teacher_leaves_its_student_s_folder(trained, tmp_path):
  path = tmp_path / 'student'
  config = _config('teacher.ensemble_size=2,task.model.ensemble_size=2')
  experiments.distill(config, str(path), _CPU)
  member, *_ = trained
  runs.claim_run(str(path / 'teacher' / 'member_0'), member.config)
  before = (path / 'params.yaml').read_bytes()
  config.teacher.epochs = 7
  with refusals.refused('model_dir', str(path / 'teacher' / 'member_0')):
    experiments.distill(config, str(path), _CPU)
  assert (path / 'params.yaml').read_bytes() == before


def test_options_of_views_reach_them():
  text = (
    'task.train_data.random_crop_area=0.5,task.train_data.color_jitter=0.25'
  )
  config = configs.load_config('digits_wrn10_1', params_override=text)
  views = experiments.opened(config, _CPU).views
  assert views.distortion == data.Distortion(crop_area=0.5, color_jitter=0.25)


def test_options_of_perturbations_reach_them(monkeypatch):
  given = {}
  monkeypatch.setattr(
    losses, 'diversified_views', lambda *_, **kwargs: given.update(kwargs)
  )
  objective = configs.ObjectiveConfig(
    perturbation='ods',
    perturbation_size=2.0,
    perturbation_temperature=3.0,
    perturbation_share=0.5,
  )
  teacher.make_views(objective, None, {'images': 0, 'draws': 0})
  assert given == {
    'size': 2.0,
    'temperature': 3.0,
    'share': 0.5,
    'confident': False,
  }
