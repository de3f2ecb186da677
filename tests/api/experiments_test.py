"""Tests of training, evaluation and export by the public API."""

import copy
import functools
import pathlib

import uncertainty_distill as ud
from uncertainty_distill import evaluation, runs, train

import experiments
import numpy as np
import pytest
import refusals
import running

_OVERRIDES = {
  # The same values as in `running.SHORT`.
  'trainer': {
    'epochs': 0.3,
    'train_tf_function': False,
    'train_tf_while_loop': False,
    'eval_tf_function': False,
    'eval_tf_while_loop': False,
  },
  'teacher.epochs': 0.3,
  'teacher.ensemble_size': 2,
  'task.model.ensemble_size': 2,
  'task.validation_data': {'num_examples': 70, 'global_batch_size': 32},
  'evaluation.corruptions': ['contrast'],
  'evaluation.severities': [5],
}


@pytest.fixture(autouse=True)
def fixture_undrawn(monkeypatch):
  """Draws no pictures, which take most of a report's time."""
  experiments.draw_nothing(monkeypatch)


def _experiment(**overrides):
  return ud.experiment('digits_wrn10_1', {**_OVERRIDES, **overrides})


def test_a_run_is_that_of_the_command(tmp_path):
  running.succeed(
    'train',
    '--experiment=digits_wrn10_1',
    '--ensemble_size=1',
    '--seed=3',
    '--mode=train',
    f'--params_override={running.SHORT_OF_ANY_SIZE}',
    f'--model_dir={tmp_path / "command"}',
  )
  by_command = runs.open_run(str(tmp_path / 'command'), 'path')
  config = _experiment(**{'task.model.ensemble_size': 1, 'task.seed': 3})
  given = copy.deepcopy(config)
  run = train(config, tmp_path / 'api')
  assert config == given
  assert run.config.as_dict() == by_command.config.as_dict()
  for weight, wanted in zip(
    run.load_model().get_weights(),
    by_command.load_model().get_weights(),
    strict=True,
  ):
    np.testing.assert_allclose(weight, wanted, atol=1e-4)
  assert train(config, tmp_path / 'api').step == run.step


@pytest.fixture(name='student', scope='module')
def fixture_student(tmp_path_factory):
  """A student that learned from stored predictions, and their path."""
  folder = tmp_path_factory.mktemp('students')
  labels = ud.load_dataset('digits', 'train').labels
  probs = np.full([2, 797, 10], 0.02) + 0.8 * np.eye(10)[labels]
  np.savez(folder / 'teacher.npz', train_probs=probs, train_labels=labels)
  config = _experiment(**{'task.train_data.crop_padding': 0})
  run = ud.distill(config, folder / 'student', folder / 'teacher.npz')
  assert not config.task.objective.teacher
  return run, str(folder / 'teacher.npz')


@pytest.fixture(name='served', scope='module')
def fixture_served(student, tmp_path_factory):
  """The student as a SavedModel."""
  path = tmp_path_factory.mktemp('served') / 'served'
  assert ud.export(student[0].path, path) is None
  return path


def test_a_student_learns_from_stored_predictions(student, served):
  run, teacher = student
  objective = run.config.task.objective
  assert (objective.kind, objective.teacher) == ('knowledge', (teacher,))
  assert run.is_complete
  images = ud.load_dataset('digits').images[:40]
  predictor = ud.load(run.path)
  assert predictor.class_names == tuple('0123456789')
  predicted = predictor.predict(images)
  np.testing.assert_allclose(
    np.log(predicted.member_probabilities.swapaxes(0, 1)),
    np.log(np.asarray(_softmax(run.load_model()(images)))),
    atol=1e-4,
  )
  answered = ud.load(served).predict(images)
  for name, value in vars(predicted).items():
    if name != 'class_name' and value is not None:
      np.testing.assert_allclose(getattr(answered, name), value, atol=1e-5)
  assert answered.class_name.tolist() == predicted.class_name.tolist()


def _softmax(logits):
  exps = np.exp(logits - np.max(logits, -1, keepdims=True))
  return exps / exps.sum(-1, keepdims=True)


def _times(folder):
  """Returns when each file and folder in a folder was last changed."""
  found = pathlib.Path(folder).rglob('*')
  return {path: path.stat().st_mtime_ns for path in found}


def test_evaluate_writes_a_report_where_one_is_wanted(student, tmp_path):
  run, _ = student
  before = _times(run.path)
  metrics = ud.evaluate(run.path)
  assert before and _times(run.path) == before
  again = ud.evaluate(run.path, output_dir=tmp_path / 'report')
  assert (tmp_path / 'report' / 'report.md').is_file()
  assert again == pytest.approx(metrics)
  results, _ = evaluation.read_json(tmp_path / 'report' / 'results.json')
  assert metrics == pytest.approx(evaluation.summary(results), rel=1e-5)
  assert {'accuracy', 'c_nll'} <= metrics.keys()
  assert ud.evaluate(run.path, output_dir=tmp_path / 'report') == again
  # A baseline of corruption errors in the report changes no metrics.
  config = copy.deepcopy(run.config)
  config.evaluation.mce_baseline = run.path
  beside = ud.evaluate(run.path, config, tmp_path / 'beside')
  assert beside == pytest.approx(metrics, rel=1e-5)
  # `measure` gives the same metrics for the 70 images.
  digits = ud.load_dataset('digits').take(70)
  measured = ud.measure(ud.load(run.path).predict(digits.images), digits.labels)
  for name, value in measured.items():
    assert metrics[name] == pytest.approx(value, abs=1e-5), name


def test_saved_models_alone_need_an_experiment(student, served):
  run, _ = student
  with refusals.refused('config', None):
    ud.evaluate(served)
  metrics = ud.evaluate(served, _experiment())
  assert metrics == pytest.approx(ud.evaluate(run.path), abs=1e-4)


def test_overrides_are_those_of_the_commands():
  config = ud.experiment(
    'digits_wrn10_1',
    {
      'task.model': {'width': 2, 'depth': 16},
      'task': {'seed': 7},
      'task.model.width': 3,
      'evaluation.corruptions': ['fog'],
    },
  )
  assert (config.task.model.width, config.task.model.depth) == (3, 16)
  assert (config.task.seed, config.evaluation.corruptions) == (7, ('fog',))
  assert ud.experiment('digits_wrn10_1').task.seed == 0
  for overrides, name in (
    ({'task.modle.width': 1}, 'task.modle in overrides'),
    ({'trainer.epochs': 'many'}, 'trainer.epochs in overrides'),
    ({'task.seed.x': 1}, 'task.seed in overrides'),
  ):
    with refusals.refused(name):
      ud.experiment('digits_wrn10_1', overrides)


def test_errors_name_parameters_and_no_flags(student, tmp_path):
  run, teacher = student
  (tmp_path / 'mine').mkdir()
  (tmp_path / 'mine' / 'thesis.txt').write_text('years')
  nowhere, new = tmp_path / 'nowhere', tmp_path / 'new'
  for name, function, *given in (
    ('experiment', ud.experiment, 'digits_wrn10'),
    ('model_dir', train, _experiment(), run.path),
    ('task.objective.teacher', ud.distill, _experiment(), new, nowhere),
    ('path', ud.evaluate, nowhere),
    ('path', ud.export, nowhere, new),
    ('directory', ud.export, run.path, tmp_path / 'mine'),
    ('fit_temperature', ud.export, run.path, new, True),
    ('calibration_file', ud.export, run.path, new, True, nowhere),
    ('calibration_file', ud.export, run.path, new, False, nowhere),
    (
      'conformal_method',
      functools.partial(ud.export, conformal_method='aps'),
      run.path,
      new,
    ),
    # Stored predictions have no network.
    ('path', ud.export, teacher, new),
  ):
    with refusals.refused(name) as caught:
      function(*given)
    assert '--' not in str(caught.value)
  assert not new.exists()


def test_a_wrong_value_leaves_no_folder(tmp_path):
  config = _experiment(**{'task.model.ensemble_size': 0})
  for function in train, ud.distill:
    with refusals.refused('task.model.ensemble_size', 0):
      function(config, tmp_path / 'run')
  assert not (tmp_path / 'run').exists()
