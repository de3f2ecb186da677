"""Tests of a tiny study: interrupted, finished, and called again."""

import copy
import dataclasses
import json
import os
import pathlib
import shutil
import statistics

from uncertainty_distill import data, evaluation, exporting, runs, studies
from uncertainty_distill.evaluation import evaluator
from uncertainty_distill.studies import study_runner
from uncertainty_distill.training import session

import numpy as np
import pytest
import tensorflow as tf
import tiny_study

pytestmark = pytest.mark.usefixtures('undrawn')


def test_a_stopped_study_goes_on_where_it_was(done):
  study, outcome, trained = done
  # The members' seeds follow from the experiment's; then come the systems'.
  assert trained == [[1000, 1001, 0], [4, 0, 4]]
  for name in tiny_study.RUNS:
    run = runs.open_run(os.path.join(outcome.directory, name), '--run')
    assert run.is_complete and run.step == 3
  assert study.config.task.objective.teacher == ()


def test_one_teacher_serves_every_student(done):
  _, outcome, _ = done
  members = tuple(
    os.path.join(outcome.directory, name) for name in tiny_study.RUNS[:2]
  )
  for name in tiny_study.RUNS[4:]:
    run = runs.open_run(os.path.join(outcome.directory, name), '--run')
    assert run.config.task.objective.teacher == members
    assert not os.path.exists(os.path.join(run.path, 'teacher'))
  kernels = [
    runs.open_run(path, '--run').load_model().trainable_weights[0].numpy()
    for path in members
  ]
  assert abs(kernels[0] - kernels[1]).max() > 0.1


def _results(outcome):
  path = os.path.join(outcome.directory, 'results.json')
  return evaluation.read_json(path)[0]


def test_table_is_over_seeds(done):
  _, outcome, _ = done
  results = _results(outcome)
  assert [(r.model, r.seed, r.shift.label) for r in results] == [
    (model, seed, shift)
    for model, seeds in (
      ('deep_ensemble', [None]),
      ('single_network', [0, 4]),
      ('head_student', [0, 4]),
    )
    for seed in seeds
    for shift in ('clean', 'contrast/1', 'contrast/5')
  ]
  assert all(result.num_examples == 70 for result in results)
  (table,) = outcome.tables
  head, _, *rows = table.split('\n')
  cells = [[cell.strip() for cell in row.split('|')[1:-1]] for row in rows]
  assert [row[:2] for row in cells] == [
    ['Deep ensemble', '2'],
    ['Single network', '1'],
    ['Head student', '2'],
  ]
  assert '±' not in rows[0]
  column = [name.strip() for name in head.split('|')[1:-1]].index('NLL ↓')
  for row, model in zip(cells[1:], ('single_network', 'head_student')):
    nll = [
      r.metrics['nll']
      for r in results
      if r.model == model and r.shift.label == 'clean'
    ]
    assert row[column] == (
      f'{statistics.mean(nll):.3f} ± {statistics.stdev(nll):.3f}'
    )
  summary = pathlib.Path(outcome.directory, 'summary.json').read_text()
  corrupted = [
    statistics.mean(
      r.metrics['nll']
      for r in results
      if (r.model, r.seed) == ('head_student', seed) and r.shift.severity
    )
    for seed in (0, 4)
  ]
  assert json.loads(summary)['head_student']['c_nll'] == pytest.approx(
    {'mean': statistics.mean(corrupted), 'std': statistics.stdev(corrupted)}
  )


def test_results_are_those_of_the_runs(done):
  _, outcome, _ = done
  test = data.open_dataset('digits').test.take(70)
  path = os.path.join(outcome.directory, 'head_student', 'seed_4')
  logits = runs.open_run(path, '--run').load_model()(test.images)
  probs = tf.reduce_mean(tf.nn.softmax(logits), 0)
  nll = -tf.math.log(tf.gather(probs, test.labels, axis=1, batch_dims=1))
  (result,) = [
    r
    for r in _results(outcome)
    if (r.model, r.seed, r.shift.label) == ('head_student', 4, 'clean')
  ]
  assert result.metrics['nll'] == pytest.approx(np.mean(nll), 1e-4)


def test_saved_model_is_that_of_the_first_seed(done):
  _, outcome, _ = done
  assert outcome.saved_model == os.path.join(outcome.directory, 'saved_model')
  serve = tf.saved_model.load(outcome.saved_model).signatures['serving_default']
  images = tf.constant(data.open_dataset('digits').test.images[:5])
  path = os.path.join(outcome.directory, 'head_student', 'seed_0')
  logits = runs.open_run(path, '--run').load_model()(images)
  tf.debugging.assert_near(
    serve(images=images)['probabilities'],
    tf.reduce_mean(tf.nn.softmax(logits), 0),
    1e-5,
    1e-5,
  )


def test_a_second_call_trains_and_evaluates_nothing(done, monkeypatch):
  study, outcome, _ = done
  monkeypatch.setattr(session, 'Trainer', None)
  monkeypatch.setattr(evaluator, 'Evaluator', None)
  # Writing the SavedModel again would take most of the time.
  monkeypatch.setattr(exporting, 'export', lambda paths, directory: directory)
  again = studies.run_study(study, outcome.directory, tiny_study.cpu())
  assert again == outcome


@pytest.mark.parametrize(
  'field, how', [('temperature_scaled', 'scaled'), ('merged', 'merged')]
)
def test_a_system_is_also_scored_otherwise(field, how, done):
  study, outcome, _ = done
  study = dataclasses.replace(study, **{field: {'b': 'head_student'}})
  systems = study_runner.trained_systems(
    study, outcome.directory, {}, tiny_study.cpu()
  )
  heads = [s for s in systems if s.label == 'head_student']
  assert len(heads) == 2
  assert systems[-2:] == [
    dataclasses.replace(s, label='b', **{how: True}) for s in heads
  ]
  part = study.select(['b'])
  assert list(part.systems) == ['head_student']
  assert getattr(part, field) == {'b': 'head_student'}
  assert getattr(study.select(['single_network']), field) == {}


def test_runs_that_the_study_would_train_otherwise_are_left_out(done, caplog):
  study, outcome, _ = done
  config = copy.deepcopy(study.systems)
  config['single_network']['task']['l2'] = 0.25
  changed = dataclasses.replace(
    study, systems=config, config=copy.deepcopy(study.config)
  )
  systems = study_runner.trained_systems(
    changed, outcome.directory, {}, tiny_study.cpu()
  )
  assert {s.label for s in systems} == {'deep_ensemble', 'head_student'}
  named = [m for m in caplog.messages if 'single_network' in m]
  assert len(named) == 2 and all('task.l2=' in m for m in named)
  caplog.clear()
  studies.estimate(changed, outcome.directory, tiny_study.cpu())
  assert len([m for m in caplog.messages if 'task.l2=' in m]) == 2
  # A baseline that has no runs is left out, too.
  changed.config.evaluation.mce_baseline = 'single_network'
  config = study_runner._evaluated_by(changed, systems)
  assert not config.evaluation.mce_baseline
  assert 'single_network' in caplog.messages[-1]


def test_a_teacher_that_would_be_trained_otherwise_is_left_out(done, caplog):
  study, outcome, _ = done
  changed = dataclasses.replace(
    study, teachers={'deep_ensemble': {'epochs': 400}}
  )
  systems = study_runner.trained_systems(
    changed, outcome.directory, {}, tiny_study.cpu()
  )
  # Its students are those of another teacher.
  assert {s.label for s in systems} == {'single_network'}
  assert 'member_0 is left out' in caplog.text


def test_a_run_that_is_left_out_is_not_exported(done, tmp_path, monkeypatch):
  study, outcome, _ = done
  directory = shutil.copytree(outcome.directory, tmp_path / 'study')
  monkeypatch.setattr(exporting, 'export', None)
  systems = copy.deepcopy(study.systems)
  systems['head_student']['task']['l2'] = 0.25
  part = dataclasses.replace(study, systems=systems).select(['single_network'])
  part = dataclasses.replace(part, export='head_student')
  assert not studies.run_study(
    part, str(directory), tiny_study.cpu()
  ).saved_model


def test_merged_members_have_a_row(done, tmp_path):
  study, outcome, _ = done
  directory = shutil.copytree(outcome.directory, tmp_path / 'study')
  study = dataclasses.replace(
    study, merged={'merged': 'head_student'}, seeds=(0,)
  )
  studies.run_study(study, str(directory), tiny_study.cpu())
  sizes = json.loads((directory / 'systems.json').read_text())
  assert sizes['merged/0']['members'] == 1
  found = json.loads((directory / 'results.json').read_text())['results']
  rows = {
    label: [
      r['figures']['nll']
      for r in found
      if (r['model'], r['seed']) == (label, 0)
    ]
    for label in ('head_student', 'merged')
  }
  assert len(rows['merged']) == len(rows['head_student']) == 3
  assert rows['merged'] != rows['head_student']


def test_a_part_leaves_the_rest_of_the_report(done, monkeypatch):
  study, outcome, _ = done
  monkeypatch.setattr(session, 'Trainer', None)
  before = _results(outcome)
  part = study.select(['single_network'])
  again = studies.run_study(part, outcome.directory, tiny_study.cpu())
  assert again.saved_model == ''
  assert _results(outcome) == before
  assert 'Head student' in again.tables[0]
