"""Tests of a tiny study: interrupted, finished, and called again."""

import json
import os
import pathlib
import statistics
import time

import numpy as np
import pytest
import tensorflow as tf
import yaml

from uncertainty_distill import data
from uncertainty_distill import evaluation
from uncertainty_distill import modeling
from uncertainty_distill import runs
from uncertainty_distill import studies
from uncertainty_distill import train_lib
from uncertainty_distill import workflow
from uncertainty_distill.errors import InputError
from uncertainty_distill.studies import cost
from uncertainty_distill.train_lib import runner

_CPU = tf.distribute.OneDeviceStrategy('CPU:0')
_STUDY = {
    'title': 'Tiny',
    'experiment': 'digits_wrn10_1',
    'params_override': {
        # Eagerly: three steps take less time than their compilation.
        'trainer': {
            'train_steps': 3, 'train_tf_function': False,
            'train_tf_while_loop': False,
        },
        'teacher': {'ensemble_size': 2},
        'task': {
            'model': {'ensemble_size': 2},
            'train_data': {'num_examples': 128},
            'validation_data': {'num_examples': 70, 'global_batch_size': 32},
        },
        'evaluation': {'corruptions': ['contrast'], 'severities': [1, 5]},
    },
    'seeds': [0, 4],
    'systems': {
        'single_network': {'task': {
            'model': {'ensemble_size': 1},
            'objective': {'kind': 'cross_entropy'},
        }},
        'head_student': {'task': {'objective': {'kind': 'head'}}},
    },
    'export': 'head_student',
}
_RUNS = [
    'deep_ensemble/member_0', 'deep_ensemble/member_1',
    'single_network/seed_0', 'single_network/seed_4',
    'head_student/seed_0', 'head_student/seed_4',
]


def _read(path, **changes):
  path.write_text(yaml.safe_dump(_STUDY | changes, sort_keys=False))
  return studies.read_study(str(path))


def _watch(monkeypatch, stop_before=None):
  """Returns the seeds trained from now on; Ctrl-C comes before a folder's."""
  seeds, trainer, train = [], runner.Trainer, train_lib.train

  def count(config, *args, **kwargs):
    seeds.append(config.task.seed)
    return trainer(config, *args, **kwargs)

  def stop(config, path, *args, **kwargs):
    if stop_before and path.endswith(stop_before):
      raise KeyboardInterrupt
    return train(config, path, *args, **kwargs)

  monkeypatch.setattr(runner, 'Trainer', count)
  monkeypatch.setattr(train_lib, 'train', stop)
  return seeds


@pytest.fixture(name='done', scope='module')
def _done(tmp_path_factory):
  """A study that was stopped once: folder, outcome, what each call trained."""
  folder = tmp_path_factory.mktemp('study')
  study = _read(folder / 'study.yaml')
  output = str(folder / 'output')
  with pytest.MonkeyPatch.context() as patched:
    first = _watch(patched, stop_before='single_network/seed_4')
    with pytest.raises(KeyboardInterrupt):
      studies.run_study(study, output, _CPU)
  with pytest.MonkeyPatch.context() as patched:
    second = _watch(patched)
    outcome = studies.run_study(study, output, _CPU)
  return study, outcome, [first, second]


def test_a_stopped_study_goes_on_where_it_was(done):
  study, outcome, trained = done
  # The members' seeds follow from the experiment's; then those of the systems.
  assert trained == [[1000, 1001, 0], [4, 0, 4]]
  for name in _RUNS:
    run = runs.open_run(os.path.join(outcome.directory, name), '--run')
    assert run.is_complete and run.step == 3
  assert study.config.task.objective.teacher == ()


def test_one_teacher_serves_every_student(done):
  _, outcome, _ = done
  members = tuple(os.path.join(outcome.directory, name) for name in _RUNS[:2])
  for name in _RUNS[4:]:
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
          ('deep_ensemble', [None]), ('single_network', [0, 4]),
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
      ['Deep ensemble', '2'], ['Single network', '1'], ['Head student', '2']
  ]
  assert '±' not in rows[0]
  column = [name.strip() for name in head.split('|')[1:-1]].index('NLL ↓')
  for row, model in zip(cells[1:], ('single_network', 'head_student')):
    nll = [
        r.figures['nll'] for r in results
        if r.model == model and r.shift.label == 'clean'
    ]
    assert row[column] == (
        f'{statistics.mean(nll):.3f} ± {statistics.stdev(nll):.3f}'
    )
  summary = pathlib.Path(outcome.directory, 'summary.json').read_text()
  corrupted = [
      statistics.mean(
          r.figures['nll'] for r in results
          if (r.model, r.seed) == ('head_student', seed) and r.shift.severity
      ) for seed in (0, 4)
  ]
  assert json.loads(summary)['head_student']['c_nll'] == pytest.approx(
      {'mean': statistics.mean(corrupted), 'std': statistics.stdev(corrupted)}
  )


def test_results_are_those_of_the_runs(done):
  _, outcome, _ = done
  test = data.load_dataset('digits', 'test').take(70)
  path = os.path.join(outcome.directory, 'head_student', 'seed_4')
  logits = runs.open_run(path, '--run').load_model()(test.images)
  probs = tf.reduce_mean(tf.nn.softmax(logits), 0)
  nll = -tf.math.log(tf.gather(probs, test.labels, axis=1, batch_dims=1))
  (result,) = [
      r for r in _results(outcome)
      if (r.model, r.seed, r.shift.label) == ('head_student', 4, 'clean')
  ]
  assert result.figures['nll'] == pytest.approx(np.mean(nll), 1e-4)


def test_saved_model_is_that_of_the_first_seed(done):
  _, outcome, _ = done
  assert outcome.saved_model == os.path.join(outcome.directory, 'saved_model')
  serve = tf.saved_model.load(outcome.saved_model).signatures['serving_default']
  images = tf.constant(data.load_dataset('digits', 'test').images[:5])
  path = os.path.join(outcome.directory, 'head_student', 'seed_0')
  logits = runs.open_run(path, '--run').load_model()(images)
  tf.debugging.assert_near(
      serve(images=images)['probabilities'],
      tf.reduce_mean(tf.nn.softmax(logits), 0), 1e-5, 1e-5,
  )


def test_a_second_call_trains_and_evaluates_nothing(done, monkeypatch):
  study, outcome, _ = done
  monkeypatch.setattr(runner, 'Trainer', None)
  monkeypatch.setattr(evaluation, 'evaluate', None)
  # Writing the SavedModel again is what takes time.
  monkeypatch.setattr(workflow, 'export', lambda paths, directory: directory)
  start = time.monotonic()
  again = studies.run_study(study, outcome.directory, _CPU)
  assert again == outcome
  assert time.monotonic() - start < 30


def test_a_part_leaves_the_rest_of_the_report(done, monkeypatch):
  study, outcome, _ = done
  monkeypatch.setattr(runner, 'Trainer', None)
  before = _results(outcome)
  part = study.select(['single_network'])
  again = studies.run_study(part, outcome.directory, _CPU, study)
  assert again.saved_model == ''
  assert _results(outcome) == before
  assert 'Head student' in again.tables[0]


def test_estimate_counts_what_is_left(done, tmp_path):
  study, outcome, _ = done
  rows = {c.label: c for c in cost.costs(study, outcome.directory)}
  assert {k: (c.runs, c.complete, c.flops_left) for k, c in rows.items()} == {
      'deep_ensemble': (2, 2, 0), 'single_network': (2, 2, 0),
      'head_student': (2, 2, 0),
  }
  image = modeling.forward_flops(modeling.build_model(
      image_shape=(16, 16, 3), num_classes=10, depth=10, width=1, mean=(0.5,),
      stddev=(0.5,),
  ))
  # Three steps of 64 images: forwards, and backwards at twice the price.
  member = 3 * 64 * 3 * image
  new = {c.label: c for c in cost.costs(study, str(tmp_path / 'none'))}
  assert new['deep_ensemble'].flops_left == 2 * member
  assert new['single_network'].flops_left == 2 * member
  # Two members learn from two.
  assert new['head_student'].flops_left == 2 * 3 * 64 * (2 * 3 + 2) * image
  # Three sets of 70 images; two teachers, two networks, two students of two.
  assert cost.evaluation_flops(study) == 3 * 70 * (2 + 2 + 4) * image
  text = studies.estimate(study, str(tmp_path / 'none'), _CPU)
  assert '| head_student ' in text and ' 0 of 2 |' in text
  assert not (tmp_path / 'none').exists()


@pytest.mark.parametrize('changes, message', [
    ({'systems': {'a': {'task': {'model': {'depth': 11}}}}}, 'got 11, wants 6'),
    ({'systems': {'a': {'task': {
        'objective': {'kind': 'head'}, 'model': {'ensemble_size': 3}}}}},
     r'teacher members \(2\) as student members \(3\)'),
    ({'systems': {'a': {'task': {
        'objective': {'kind': 'head', 'weight_tie': 0.1},
        'model': {'width': 2}}}}}, "teacher.width: got 1, wants the student's 2"),
    ({'params_override': {'teacher': {'width': 0}}}, 'width: got 0'),
    ({'params_override': {'evaluation': {'corruptions': ['x']}}}, 'corruption'),
    ({'params_override': {'task': {'objective': {'teacher': ['gone']}}}},
     "task.objective.teacher: got 'gone', wants a run folder"),
])
def test_mistakes_are_found_before_anything_is_written(
    changes, message, tmp_path, monkeypatch
):
  monkeypatch.setattr(runner, 'Trainer', None)
  changes = {'export': ''} | changes
  study = _read(tmp_path / 'study.yaml', **changes)
  with pytest.raises(InputError, match=message):
    studies.run_study(study, str(tmp_path / 'output'), _CPU)
  assert not (tmp_path / 'output').exists()


def test_a_given_teacher_is_taken_and_checked(done, tmp_path, monkeypatch):
  _, outcome, _ = done
  members = [os.path.join(outcome.directory, name) for name in _RUNS[:2]]
  head = {'a': {'task': {'objective': {'kind': 'head'}}}}
  taken = []
  monkeypatch.setattr(
      workflow, 'distill', lambda config, *_, **__: taken.append(config)
  )
  monkeypatch.setattr(workflow, 'assess', lambda *_: '')
  for teacher in members, members[:1]:
    override = {'task': {
        'objective': {'teacher': teacher}, 'model': {'ensemble_size': 2}
    }}
    study = _read(
        tmp_path / 'study.yaml', systems=head, seeds=[0], export='',
        params_override=override,
    )
    if len(teacher) == 2:
      studies.run_study(study, str(tmp_path), _CPU)
      assert taken.pop().task.objective.teacher == tuple(members)
    else:
      with pytest.raises(InputError, match=r'members \(1\) as student'):
        studies.run_study(study, str(tmp_path), _CPU)
  assert not taken
