"""Tests of what an assessment evaluates, keeps and writes."""

import dataclasses
import json
import os
import pathlib
import shutil

from uncertainty_distill import (
  data,
  evaluation,
  exporting,
  metrics,
  reports,
  runs,
  trained,
)
from uncertainty_distill.errors import InputError
from uncertainty_distill.evaluation import results as results_lib
from uncertainty_distill.reports import assessment

import experiments
import numpy as np
import pytest
import tensorflow as tf
import tiny_runs
from refusals import refused
from tensorboard.backend.event_processing import event_accumulator

_CPU = tf.distribute.OneDeviceStrategy('CPU:0')

# report_test.py and remote_test.py test the pictures.
pytestmark = pytest.mark.usefixtures('undrawn')


def test_only_what_changed_is_evaluated_again(paths, tmp_path, evaluated):
  directory = str(tmp_path / 'report')
  systems = [
    evaluation.System('deep_ensemble', None, tuple(paths[:2])),
    evaluation.System('batch_ensemble', 0, (paths[2],)),
  ]

  def assess(systems=systems, text=''):
    evaluated.clear()
    config = tiny_runs.config(text)
    # Opens the systems anew, as another process would.
    systems = [dataclasses.replace(system) for system in systems]
    return experiments.assess(systems, config, _CPU, directory, 'Title')

  table = assess()
  assert evaluated == [['deep_ensemble', 'batch_ensemble']]
  results, _ = evaluation.read_json(os.path.join(directory, 'results.json'))
  assert [(r.model, r.seed, r.shift.label) for r in results] == [
    ('deep_ensemble', None, 'clean'),
    ('deep_ensemble', None, 'contrast/1'),
    ('batch_ensemble', 0, 'clean'),
    ('batch_ensemble', 0, 'contrast/1'),
  ]
  assert all(r.num_examples == 70 for r in results)
  rows = [line.split('|') for line in table.split('\n')[2:]]
  assert [row[1].strip() for row in rows] == ['Deep ensemble', 'Batch ensemble']
  assert [row[2].strip() for row in rows] == ['2', '2']
  for name in (
    'report.html',
    'report.md',
    'results.csv',
    'summary.json',
    'systems.json',
  ):
    assert os.path.isfile(os.path.join(directory, name))

  # The results belong to the whole ensemble, not to its last member.
  found = {
    count: evaluation.find_results(
      directory, trained.open_trained(paths[2 - count : 2], 'path')
    )
    for count in (1, 2)
  }
  assert found[1] == [] and found[2] == results[:2]
  # A model card shows no results on another dataset than that of training.
  other = trained.open_trained(paths[:2], 'path')
  other.config.task.train_data.name = 'data/moved.npz'
  assert evaluation.find_results(directory, other) == []

  # Nothing changed: nothing is evaluated, and the table is the same.
  assert assess() == table and not evaluated
  # Another batch size gives the same metrics, so the results are kept.
  assert assess(text='task.validation_data.global_batch_size=70') == table
  assert not evaluated

  # One of the members gets new weights.
  single = tiny_runs.config('task.model.ensemble_size=1')
  tiny_runs.save(paths[0], single, seed=9)
  changed = assess()
  assert evaluated == [['deep_ensemble']]
  (_, _, *before), (_, _, *after) = table.split('\n'), changed.split('\n')
  assert after[0].split() != before[0].split()
  assert after[1].split() == before[1].split()

  # A system is added to the table and then removed.
  more = [*systems, evaluation.System('single', None, (paths[0],))]
  assert len(assess(more).split('\n')) == 5
  assert evaluated == [['single']]
  assert assess() == changed and not evaluated

  # Other test sets.
  assess(text='evaluation.severities=[5]')
  assert evaluated == [['deep_ensemble', 'batch_ensemble']]
  assess(text='evaluation.severities=[5],task.validation_data.num_examples=40')
  assert evaluated == [['deep_ensemble', 'batch_ensemble']]


def test_files_of_others_are_not_overwritten(paths, tmp_path, evaluated):
  (tmp_path / 'results.csv').write_text('mine')
  with refused('output_dir', str(tmp_path)) as caught:
    experiments.assess(
      [evaluation.System('a', None, (paths[0],))],
      tiny_runs.config(),
      _CPU,
      str(tmp_path),
      'Title',
    )
  assert 'results.csv' in caught.value.hint and not evaluated


def test_what_was_evaluated_before_a_stop_is_kept(paths, tmp_path, evaluated):
  directory = str(tmp_path / 'report')
  systems = [
    evaluation.System('single', None, (paths[0],)),
    evaluation.System('batch_ensemble', 0, (paths[2],)),
    evaluation.System('batch_ensemble', 1, (paths[2],)),
  ]

  def stopped(systems, experiment, keep):
    reports.evaluate_at_once(systems[:2], experiment, keep)
    raise KeyboardInterrupt

  options = tiny_runs.config(), _CPU, directory, 'Title'
  with pytest.raises(KeyboardInterrupt):
    experiments.assess(systems, *options, evaluate=stopped)
  experiments.assess(systems, *options)
  assert evaluated[0] == ['single', 'batch_ensemble']
  # The third system, and the one whose most uncertain images are needed.
  assert evaluated[1] == ['batch_ensemble', 'batch_ensemble']
  path = os.path.join(directory, 'results.json')
  results, metadata = evaluation.read_json(path)
  assert len(results) == 6
  # A kill between the two files leaves fewer results than systems.
  results_lib.write_json(results[2:], path, metadata)
  experiments.assess(systems, *options)
  assert evaluated[2] == ['single']
  assert evaluation.read_json(path)[0] == results


def test_models_that_do_not_fit_together_are_evaluated_in_turn(
  paths, tmp_path, evaluated, monkeypatch
):
  config = tiny_runs.config('evaluation.temperature_examples=64')
  config.task.train_data.num_examples = 500
  systems = [
    evaluation.System('single', None, (paths[0],)),
    evaluation.System('batch_ensemble', 0, (paths[2],)),
    evaluation.System('again', 0, (paths[2],)),
    evaluation.System('deep_ensemble', None, tuple(paths[:2])),
  ]
  tables = []
  for most in 2 << 30, 1:
    monkeypatch.setattr(assessment, '_MOST_WEIGHTS', most)
    directory = str(tmp_path / str(most))
    tables.append(experiments.assess(systems, config, _CPU, directory, 'Title'))
  assert tables[0] == tables[1]
  # Systems of the same runs share a network.
  assert evaluated[1:] == [
    ['single'],
    ['batch_ensemble', 'again'],
    ['deep_ensemble'],
  ]
  sizes = [system.model.weights_size for system in systems]
  assert sizes[0] > 1000 and sizes[3] > 1.9 * sizes[0]


def test_a_kill_between_two_files_mixes_no_results(
  paths, tmp_path, evaluated, monkeypatch
):
  directory = str(tmp_path / 'report')
  systems = [evaluation.System('single', None, (paths[0],))]

  def assess(text=''):
    config = tiny_runs.config(text)
    experiments.assess(systems, config, _CPU, directory, 'Title')
    return evaluation.read_json(os.path.join(directory, 'results.json'))[0]

  def killed(*args):
    write_json(*args)
    raise KeyboardInterrupt

  before, write_json = assess(), results_lib.write_json
  with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
    patch.setattr(results_lib, 'write_json', killed)
    assess('task.validation_data.num_examples=40')
  # The results of 40 images were written, but no note of what they are of.
  assert assess() == before and len(evaluated) == 3


def test_the_training_batch_need_not_suit_the_devices(
  paths, tmp_path, replicas
):
  config = tiny_runs.config('task.validation_data.global_batch_size=64')
  config.task.train_data.global_batch_size = 63
  systems = [evaluation.System('single', None, (paths[0],))]
  experiments.assess(systems, config, replicas, str(tmp_path), 'Title')
  assert (tmp_path / 'report.md').is_file()


def test_a_copied_run_is_not_evaluated_again(paths, tmp_path, evaluated):
  directory = tmp_path / 'report'

  def assess(*paths):
    evaluated.clear()
    systems = [evaluation.System('single', 0, paths)]
    config = tiny_runs.config()
    return experiments.assess(systems, config, _CPU, str(directory), 'Title')

  table = assess(*paths[:2])
  assert evaluated == [['single']]
  copies = [str(tmp_path / 'copies' / str(i)) for i in range(2)]
  for path, copy in zip(paths, copies):
    shutil.copytree(path, copy, copy_function=shutil.copy)
    _touch(copy)
  assert assess(*copies) == table and not evaluated
  for path in copies:
    _touch(path)
  assert assess(*copies) == table and not evaluated
  # The same members in another order are another ensemble.
  assess(*copies[::-1])
  assert evaluated == [['single']]


def test_older_results_are_known_by_the_times_of_checkpoints(
  paths, tmp_path, evaluated
):
  directory = tmp_path / 'report'

  def assess():
    evaluated.clear()
    systems = [evaluation.System('single', 0, (paths[0],))]
    experiments.assess(
      systems, tiny_runs.config(), _CPU, str(directory), 'Title'
    )
    return json.loads((directory / 'systems.json').read_text())['single/0']

  entry = assess()
  *images, _ = entry['made_from']
  entry['made_from'] = images + entry.pop('written')
  old = json.dumps({'single/0': entry})
  (directory / 'systems.json').write_text(old)
  file = directory / 'images' / 'single_0.npz'
  with np.load(file) as arrays:
    older = {**arrays, 'made_from': np.array(entry['made_from'])}
  np.savez(file, **older)
  assert '@' not in assess()['made_from'][-1] and not evaluated
  # From now on, results are matched by the checkpoints' content.
  _touch(paths[0])
  assess()
  assert not evaluated
  (directory / 'systems.json').write_text(old)
  assess()
  assert evaluated == [['single']]


def _touch(path):
  """Changes the modification times of all files in a folder."""
  for file in pathlib.Path(path).iterdir():
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 10**9))


def test_unreadable_results_are_made_again(paths, tmp_path, evaluated, caplog):
  directory = tmp_path / 'report'
  systems = [evaluation.System('single', 0, (paths[0],))]
  for file, content in (
    ('new.txt', ''),
    ('results.json', '{'),
    ('results.json', '{"a": 1}'),
    ('systems.json', '[]'),
    ('systems.json', '{"single/0": {"members": 1}}'),
  ):
    directory.mkdir(exist_ok=True)
    (directory / file).write_text(content)
    experiments.assess(
      systems, tiny_runs.config(), _CPU, str(directory), 'Title'
    )
    assert evaluated.pop() == ['single'] and not evaluated
    assert (str(directory / file) in caplog.text) == bool(content)
    caplog.clear()
  experiments.assess(systems, tiny_runs.config(), _CPU, str(directory), 'Title')
  assert not evaluated and not caplog.messages
  kept = json.loads((directory / 'systems.json').read_text())
  assert kept['single/0']['members'] == 1


def test_what_a_user_changes_in_the_results_is_kept(
  paths, tmp_path, evaluated, caplog
):
  directory = tmp_path / 'report'
  systems = [evaluation.System('single', 0, (paths[0],))]
  experiments.assess(systems, tiny_runs.config(), _CPU, str(directory), 'Title')
  evaluated.clear()
  caplog.clear()
  content = json.loads((directory / 'results.json').read_text())
  content['results'][0]['figures']['nll'] = 1234.5
  # Older files have a checksum, which is ignored.
  content['sha256'] = '0' * 64
  (directory / 'results.json').write_text(json.dumps(content))
  experiments.assess(systems, tiny_runs.config(), _CPU, str(directory), 'Title')
  assert not evaluated and not caplog.messages
  results, _ = evaluation.read_json(directory / 'results.json')
  assert results[0].metrics['nll'] == 1234.5


def test_tensorboard_shows_the_corrupted_test_sets(paths, tmp_path):
  experiments.assess(
    [evaluation.System('batch_ensemble', 0, (paths[2],))],
    tiny_runs.config('evaluation.severities=[1,5]'),
    _CPU,
    str(tmp_path / 'r'),
    'A',
  )
  results, _ = evaluation.read_json(tmp_path / 'r' / 'results.json')
  expected = evaluation.summary(results)
  events = event_accumulator.EventAccumulator(
    str(tmp_path / 'r' / 'batch_ensemble' / '0' / 'corrupted')
  ).Reload()
  for tag in 'quality/accuracy', 'calibration/ece', 'quality/nll':
    (event,) = events.Tensors(tag)
    assert event.step == 5
    assert float(tf.make_ndarray(event.tensor_proto)) == pytest.approx(
      expected[f'c_{tag.rpartition("/")[2]}']
    )


def test_systems_that_cannot_be_evaluated_are_named(paths, tmp_path):
  unfinished = tiny_runs.save(
    str(tmp_path / 'half'),
    tiny_runs.config('task.model.ensemble_size=1'),
    step=3,
  )
  for path in unfinished, str(tmp_path / 'gone'):
    systems = [evaluation.System('single', None, (paths[0], path))]
    with refused('path', path):
      experiments.assess(
        systems, tiny_runs.config(), _CPU, str(tmp_path / 'r'), 'Title'
      )


def test_export_of_several_runs_is_their_ensemble(paths, tmp_path):
  directory = str(tmp_path / 'exported' / 'model')
  assert exporting.export(paths, directory) is None
  serve = tf.saved_model.load(directory).signatures['serving_default']
  images = tf.cast(
    tf.random.stateless_uniform(
      [3, 16, 16, 3], [0, 0], maxval=256, dtype=tf.int32
    ),
    tf.uint8,
  )
  served = serve(images=images)['member_probabilities']
  direct = tf.concat(
    [
      tf.nn.softmax(runs.open_run(path, '--run').load_model()(images))
      for path in paths
    ],
    0,
  )
  assert served.shape == (3, 4, 10)
  tf.debugging.assert_near(served, tf.transpose(direct, [1, 0, 2]), 1e-5, 1e-5)
  (tmp_path / 'file').write_text('')
  with refused('directory', str(tmp_path / 'file')):
    exporting.export(paths[:1], str(tmp_path / 'file' / 'model'))


def test_other_data_under_the_same_path_are_evaluated(
  tmp_path, evaluated, caplog
):
  file, report = str(tmp_path / 'own.npz'), str(tmp_path / 'report')
  digits = data.open_dataset('digits')
  arrays = {
    f'{split}_{kind}': getattr(getattr(digits, split), kind)
    for split in ('train', 'test')
    for kind in ('images', 'labels')
  }
  np.savez(file, **arrays)
  config = tiny_runs.config(f'task.train_data.name={file}')
  path = tiny_runs.save(str(tmp_path / 'run'), config)
  systems = [evaluation.System('model', None, (path,))]

  def assess():
    evaluated.clear()
    experiments.assess(systems, config, _CPU, report, 'Title')
    return list(evaluated)

  assert assess() == [['model']] and not assess()
  np.savez(file, **{**arrays, 'test_images': arrays['test_images'][::-1]})
  os.utime(file, ns=(1, 1))  # Another time, however coarse the clock.
  assert assess() == [['model']] and not assess()
  # Results of an older version count as results on the current data.
  kept = os.path.join(report, 'systems.json')
  with open(kept, encoding='utf-8') as opened:
    noted = json.load(opened)
  marks = noted['model']['made_from']
  older = [m for m in marks if not m.startswith('data:')]
  assert older[0].startswith(file)
  older[0] = os.path.relpath(file) + older[0].removeprefix(file)
  noted['model']['made_from'] = older
  assert len(noted['model']['made_from']) == len(marks) - 1
  with open(kept, 'w', encoding='utf-8') as opened:
    json.dump(noted, opened)
  assert file not in caplog.text
  caplog.clear()
  assert not assess() and len(caplog.messages) == 1
  assert not assess() and len(caplog.messages) == 1


def test_without_a_temperature_a_scaled_system_is_left_out(
  paths, tmp_path, monkeypatch, caplog
):
  def refuse(*args):
    raise InputError('evaluation.temperature_examples', 64, 'more')

  monkeypatch.setattr(trained, 'fit_temperature', refuse)
  part = 'task.train_data.num_examples=500'
  path = tiny_runs.save(str(tmp_path / 'run'), tiny_runs.config(part))
  config = tiny_runs.config(
    f'{part},evaluation.temperature_examples=64,'
    'evaluation.mce_baseline=scaled_student'
  )
  systems = [
    evaluation.System('student', 0, (path,)),
    evaluation.System('scaled_student', 0, (path,), scaled=True),
    # It was trained on all images, including those for its temperature.
    evaluation.System('whole', 0, (paths[2],)),
  ]
  experiments.assess(systems, config, _CPU, str(tmp_path), 'Title')
  results, _ = evaluation.read_json(str(tmp_path / 'results.json'))
  assert {r.model for r in results} == {'student', 'whole'}
  for label in 'Scaled student', 'Whole':
    assert any(label in message for message in caplog.messages)


def test_a_system_is_scored_at_its_temperature_beside_itself(tmp_path):
  directory = str(tmp_path)
  part = 'task.train_data.num_examples=500'
  path = tiny_runs.save(str(tmp_path / 'run'), tiny_runs.config(part))
  config = tiny_runs.config(
    f'{part},evaluation.temperature_examples=64,evaluation.conformal=0.2'
  )
  systems = [
    evaluation.System('student', 0, (path,)),
    evaluation.System('scaled_student', 0, (path,), scaled=True),
  ]
  experiments.assess(systems, config, _CPU, directory, 'Title')
  results, _ = evaluation.read_json(os.path.join(directory, 'results.json'))
  plain, scaled = results[:2], results[2:]
  assert {r.model for r in plain} == {'student'}
  assert {r.model for r in scaled} == {'scaled_student'}
  images = data.open_dataset('digits').train
  logits = systems[0].model.ensemble()(images.images[-64:]).numpy()
  fitted = metrics.fit_temperature(logits, images.labels[-64:], '')
  for own, other in zip(plain, scaled, strict=True):
    assert other.metrics['nll'] == own.metrics['scaled_nll']
    assert other.metrics['nll'] != own.metrics['nll']
  rule = metrics.calibrate_sets(logits, images.labels[-64:], 0.2)
  test = data.open_dataset('digits').test.take(70)
  logits = systems[0].model.ensemble()(test.images)
  contains = rule.contains(metrics.mean_probs(logits)).numpy()
  assert plain[0].metrics['set_size'] == pytest.approx(contains.sum(-1).mean())
  assert plain[0].metrics['coverage'] == pytest.approx(
    contains[np.arange(70), test.labels].mean()
  )
  assert 'coverage' in plain[1].metrics
  assert '## Prediction sets' in (tmp_path / 'report.md').read_text()
  assert plain[0].metrics['temperature'] == pytest.approx(
    fitted.temperature, rel=1e-3
  )
  # With their scaling swapped, neither system has results.
  swapped = [
    dataclasses.replace(system, scaled=not system.scaled) for system in systems
  ]
  experiment = experiments.opened(config, _CPU)
  for given, missing in (systems, []), (swapped, swapped):
    cache = evaluation.ResultCache(directory, given, experiment)
    assert cache.missing() == missing
  # TensorBoard shows both systems; the run folder has the plain results.
  assert os.path.isdir(os.path.join(path, 'results'))
  assert os.path.isdir(
    os.path.join(directory, 'scaled_student', '0', 'results')
  )
