"""Tests of what is evaluated, what is kept, and what is written about it."""

import json
import os
import pathlib
import re
import shutil

import numpy as np
import pytest
from tensorboard.backend.event_processing import event_accumulator
import tensorflow as tf
import tf_keras

from uncertainty_distill import configs
from uncertainty_distill import data
from uncertainty_distill import evaluation
from uncertainty_distill import modeling
from uncertainty_distill import runs
from uncertainty_distill import train_lib
from uncertainty_distill import workflow
from uncertainty_distill.errors import InputError
from uncertainty_distill.evaluation import pictures

_CPU = tf.distribute.OneDeviceStrategy('CPU:0')


def _config(text=''):
  config = configs.load_config(
      'digits_wrn10_1', params_override=(
          'trainer.train_steps=5,task.objective.kind=cross_entropy,'
          'task.validation_data.num_examples=70,'
          'task.validation_data.global_batch_size=32,'
          'evaluation.corruptions=[contrast],evaluation.severities=[1]'
      )
  )
  configs.override_by_text(config, text)
  return train_lib.resolve(config)


def _save(path, config, step=5, seed=0):
  """Writes a run folder with random weights."""
  run = runs.claim_run(path, config)
  tf_keras.utils.set_random_seed(seed)
  model = modeling.build_model(**config.task.model.as_dict())
  tf.train.CheckpointManager(
      tf.train.Checkpoint(model=model), run.path, max_to_keep=1
  ).save(checkpoint_number=step)
  return run.path


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  """A folder with runs of two single networks and a BatchEnsemble."""
  folder = tmp_path_factory.mktemp('trained')
  single = _config('task.model.ensemble_size=1')
  _save(str(folder / 'member_0'), single, seed=1)
  _save(str(folder / 'member_1'), single, seed=2)
  _save(str(folder / 'student'), _config('task.model.ensemble_size=2'))
  return folder


@pytest.fixture(name='paths')
def _paths(trained, tmp_path):
  """The three runs, for one test alone."""
  shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
  return [str(tmp_path / n) for n in ('member_0', 'member_1', 'student')]


@pytest.fixture(name='evaluated')
def _evaluated(monkeypatch):
  """Replaces the evaluator; returns the models that each call was given."""
  calls = []

  class Evaluator:
    """Gives a figure that follows the weights."""

    def __init__(self, candidates, batch, strategy):
      del batch, strategy
      self._candidates = candidates
      self.entropies = []

    def run(self, dataset, shifts, source, foreign):
      assert source.description == 'made on the fly by formula, seed 0'
      assert foreign is None
      calls.append([candidate.label for candidate in self._candidates])
      self.entropies = [np.arange(len(dataset.labels)) for _ in calls[-1]]
      mean = lambda model: float(tf.reduce_mean(model.trainable_weights[0]))
      figures = dict.fromkeys(
          ('accuracy', 'ece', 'gibbs_nll', 'brier', 'member_accuracy'), 0.5
      )
      return [
          evaluation.Result(
              c.label, c.seed, shift, len(dataset.labels),
              {**figures, 'nll': 100 * mean(c.model)}, [1.0], [1.0], [1.0]
          )
          for shift in shifts for c in self._candidates
      ]

  monkeypatch.setattr(evaluation, 'Evaluator', Evaluator)
  return calls


def test_only_what_changed_is_evaluated_again(paths, tmp_path, evaluated):
  directory = str(tmp_path / 'report')
  systems = [
      workflow.System('deep_ensemble', None, tuple(paths[:2])),
      workflow.System('batch_ensemble', 0, (paths[2],)),
  ]

  def assess(systems=systems, text=''):
    evaluated.clear()
    return workflow.assess(systems, _config(text), _CPU, directory, 'Title')

  table = assess()
  assert evaluated == [['deep_ensemble', 'batch_ensemble']]
  results, _ = evaluation.read_json(os.path.join(directory, 'results.json'))
  assert [(r.model, r.seed, r.shift.label) for r in results] == [
      ('deep_ensemble', None, 'clean'), ('deep_ensemble', None, 'contrast/1'),
      ('batch_ensemble', 0, 'clean'), ('batch_ensemble', 0, 'contrast/1'),
  ]
  assert all(r.num_examples == 70 for r in results)
  rows = [line.split('|') for line in table.split('\n')[2:]]
  assert [row[1].strip() for row in rows] == ['Deep ensemble', 'Batch ensemble']
  assert [row[2].strip() for row in rows] == ['2', '2']
  for name in (
      'report.html', 'report.md', 'results.csv', 'summary.json', 'systems.json'
  ):
    assert os.path.isfile(os.path.join(directory, name))
  assert sorted(os.listdir(os.path.join(directory, 'plots'))) == [
      'heat_map_accuracy.png', 'heat_map_ece.png', 'heat_map_nll.png',
      'reliability.png', 'severity.png', 'severity_boxes.png',
  ]

  # Nothing changed: not even loaded, and the same table.
  assert assess() == table and not evaluated
  # Another batch gives the same figures, so they are kept.
  assert assess(text='task.validation_data.global_batch_size=70') == table
  assert not evaluated

  # New weights of one of the ensemble's members.
  _save(paths[0], _config('task.model.ensemble_size=1'), seed=9)
  changed = assess()
  assert evaluated == [['deep_ensemble']]
  (_, _, *before), (_, _, *after) = table.split('\n'), changed.split('\n')
  assert after[0].split() != before[0].split()
  assert after[1].split() == before[1].split()

  # A new system; one that left the table.
  more = [*systems, workflow.System('single', None, (paths[0],))]
  assert len(assess(more).split('\n')) == 5
  assert evaluated == [['single']]
  assert assess() == changed and not evaluated

  # Other test sets.
  assess(text='evaluation.severities=[5]')
  assert evaluated == [['deep_ensemble', 'batch_ensemble']]
  assess(text='evaluation.severities=[5],task.validation_data.num_examples=40')
  assert evaluated == [['deep_ensemble', 'batch_ensemble']]


@pytest.fixture(name='undrawn')
def _undrawn(monkeypatch):
  """Leaves out the pictures of results, which take the time of a report."""
  monkeypatch.setattr(pictures, 'available_pictures', lambda results: [])


def _shown(directory):
  """The heading and the pictures' texts of the least sure images."""
  text = pathlib.Path(directory, 'report.md').read_text()
  section = text.split('\n## The images that ')[1].split('\n## ')[0]
  return (
      section.split(' is least sure of')[0],
      re.findall(r'!\[(.*)\]\(images/least_sure', section),
  )


@pytest.mark.usefixtures('undrawn')
def test_images_are_those_of_the_student(paths, tmp_path, evaluated):
  directory = str(tmp_path / 'report')
  systems = [
      workflow.System('student', 3, (paths[2],)),
      workflow.System('student', 4, (paths[2],)),
      workflow.System('single', None, (paths[0],)),
  ]

  def assess(student='', text=''):
    evaluated.clear()
    workflow.assess(
        systems, _config(text), _CPU, directory, 'Title', student=student
    )
    return _shown(directory)

  name, texts = assess('student')
  assert name == 'Student (seed 3)' and len(texts) == 12
  labels = data.load_dataset('digits', 'test').labels
  # The evaluator has given the last of 70 images the highest entropy.
  assert texts[0].startswith(f'Test image 69, labelled {labels[69]}; ')
  assert texts[0].count(',') == 2 and 'members vote' in texts[0]
  assert texts[11].startswith('Test image 58, ')
  # One that has no images yet is evaluated, and only that one.
  name, alone = assess('unknown')
  assert name == 'Single' and 'vote' not in alone[0]
  assert evaluated == [['single']]
  assert assess('student') == ('Student (seed 3)', texts) and not evaluated
  os.truncate(os.path.join(directory, 'images', 'student_3.npz'), 500)
  assert assess('student')[1] == texts and evaluated == [['student']]
  first = assess('student', 'task.validation_data.num_examples=40')[1][0]
  assert first.startswith('Test image 39, ')


@pytest.mark.usefixtures('undrawn')
def test_a_paper_s_experiment_stands_beside_the_paper(
    paths, tmp_path, evaluated, monkeypatch
):
  config = _config()
  systems = [
      workflow.System('head_student', 0, (paths[2],)),
      workflow.System('single', None, (paths[0],)),
  ]
  monkeypatch.setattr(
      workflow.assessment, '_published',
      lambda config: evaluation.paper_rows('cifar10'),
  )
  for beside in True, False:
    workflow.assess(
        systems, config, _CPU, str(tmp_path / 'r'), 'A', beside_paper=beside
    )
    text = (tmp_path / 'r' / 'report.md').read_text()
    assert ('## Beside the paper' in text) == beside
    assert ('| 0.963 ± 0.001 |' in text) == beside
    assert 'agrees' not in text  # One seed decides nothing.
  monkeypatch.undo()
  published = workflow.assessment._published
  assert published(config) == {}
  config.task.train_data.name = 'cifar100'
  assert published(config)['deep_ensemble']['accuracy'][0] > 0.7
  config.task.train_data.classes = (0, 1)
  assert published(config) == {}


def test_unreadable_results_are_made_again(
    paths, tmp_path, evaluated, capsys
):
  directory = tmp_path / 'report'
  systems = [workflow.System('single', 0, (paths[0],))]
  for file, content in (
      ('new.txt', ''), ('results.json', '{'), ('results.json', '{"a": 1}'),
      ('systems.json', '[]'), ('systems.json', '{"single/0": {"members": 1}}'),
  ):
    directory.mkdir(exist_ok=True)
    (directory / file).write_text(content)
    workflow.assess(systems, _config(), _CPU, str(directory), 'Title')
    assert evaluated.pop() == ['single'] and not evaluated
    said = capsys.readouterr().err
    assert (f'{directory / file} is damaged (' in said) == bool(content)
  for file in 'results.json', 'systems.json':
    # Still JSON, with one digit of a number changed.
    text = (directory / file).read_text()
    place = text.index('"parameters": ' if 'sys' in file else '"nll": ') + 15
    digit = '1' if text[place] != '1' else '2'
    changed = text[:place] + digit + text[place + 1:]
    json.loads(changed)
    (directory / file).write_text(changed)
    workflow.assess(systems, _config(), _CPU, str(directory), 'Title')
    assert evaluated.pop() == ['single'] and not evaluated
    assert f'{directory / file} is damaged (its SHA' in capsys.readouterr().err
  workflow.assess(systems, _config(), _CPU, str(directory), 'Title')
  assert not evaluated and not capsys.readouterr().err
  kept = json.loads((directory / 'systems.json').read_text())
  assert kept['single/0']['members'] == 1


def test_tensorboard_shows_the_corrupted_test_sets(paths, tmp_path):
  workflow.assess(
      [workflow.System('batch_ensemble', 0, (paths[2],))],
      _config('evaluation.severities=[1,5]'), _CPU, str(tmp_path / 'r'), 'A',
  )
  results, _ = evaluation.read_json(tmp_path / 'r' / 'results.json')
  expected = evaluation.summary(results)
  events = event_accumulator.EventAccumulator(
      os.path.join(paths[2], 'corrupted')
  ).Reload()
  for tag in 'quality/accuracy', 'calibration/ece', 'quality/nll':
    (event,) = events.Tensors(tag)
    assert event.step == 5
    assert float(tf.make_ndarray(event.tensor_proto)) == pytest.approx(
        expected[f'c_{tag.rpartition("/")[2]}']
    )


def test_systems_that_cannot_be_evaluated_are_named(paths, tmp_path):
  unfinished = _save(
      str(tmp_path / 'half'), _config('task.model.ensemble_size=1'), step=3
  )
  for path, message in (
      (unfinished, 'it is at step 3 of 5'),
      (str(tmp_path / 'gone'), 'this is a missing folder'),
  ):
    systems = [workflow.System('single', None, (paths[0], path))]
    with pytest.raises(InputError, match=message) as caught:
      workflow.assess(systems, _config(), _CPU, str(tmp_path / 'r'), 'Title')
    assert str(caught.value).startswith(f"--run: got '{path}'")


def test_export_of_several_runs_is_their_ensemble(paths, tmp_path):
  directory = str(tmp_path / 'exported' / 'model')
  assert workflow.export(paths, directory) is None
  serve = tf.saved_model.load(directory).signatures['serving_default']
  images = tf.cast(tf.random.stateless_uniform(
      [3, 16, 16, 3], [0, 0], maxval=256, dtype=tf.int32
  ), tf.uint8)
  served = serve(images=images)['member_probabilities']
  direct = tf.concat([
      tf.nn.softmax(runs.open_run(path, '--run').load_model()(images))
      for path in paths
  ], 0)
  assert served.shape == (3, 4, 10)
  tf.debugging.assert_near(served, tf.transpose(direct, [1, 0, 2]), 1e-5, 1e-5)
  (tmp_path / 'file').write_text('')
  with pytest.raises(InputError, match='a folder that can be written'):
    workflow.export(paths[:1], str(tmp_path / 'file' / 'model'))
