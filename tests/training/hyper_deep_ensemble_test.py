"""Tests of whole searches, which are recorded, resumed and extended."""

import copy
import json
import os
import shutil

from uncertainty_distill import configs, data, runs, trained, training
from uncertainty_distill.training import (
  ensemble_selection,
  held_out_predictions,
  session,
)

import experiments
import numpy as np
import pytest
import refusals
import running
import scipy.special

# Three steps are an epoch of 96 examples; 32 are held out.
_TEXT = running.EAGER + (
  'trainer.train_steps=4,trainer.steps_per_loop=1,trainer.warmup_epochs=0,'
  'task.train_data.num_examples=128,teacher.global_batch_size=32,'
  'task.validation_data.global_batch_size=20,teacher.ensemble_size=2,'
  'teacher.search.held_out_fraction=0.25,teacher.search.num_runs='
)


def _config(num_runs=3):
  return configs.load_config(
    'digits_wrn10_1', params_override=(f'{_TEXT}{num_runs}')
  )


@pytest.fixture(scope='module', name='searched')
def fixture_searched(one_device, tmp_path_factory):
  """The folder of a search of three runs, and the members it returned."""
  path = str(tmp_path_factory.mktemp('search') / 'teacher')
  return path, experiments.train_teacher(_config(), path, one_device, False)


def _record(path):
  with open(os.path.join(path, 'search.json'), encoding='utf-8') as file:
    return file.read()


def _written(path):
  return {
    os.path.join(folder, name): os.stat(os.path.join(folder, name)).st_mtime_ns
    for folder, _, names in os.walk(path)
    for name in names
    if name != 'search.json'
  }


def _copy(searched, folder, *names):
  """Copies some of the search's files; returns the folder of the copies."""
  for name in names:
    place = os.path.join(searched[0], name)
    copied = shutil.copytree if os.path.isdir(place) else shutil.copy
    os.makedirs(folder, exist_ok=True)
    copied(place, os.path.join(folder, name))
  return str(folder)


def test_runs_are_those_drawn_and_their_scores_those_of_their_models(searched):
  path, _ = searched
  record = json.loads(_record(path))
  assert record['examples'] == {'training': 96, 'held_out': 32}
  default = training.resolve(configs.default_run(_config()))
  _, held_out = data.open_training(
    data.open_configured(default.task.train_data), default.task.train_data
  )
  for index, entry in enumerate(record['runs']):
    run = runs.open_run(os.path.join(path, f'run_{index:03}'), '--run')
    assert run.is_complete and run.config == configs.search_run(
      default, index, 96
    )
    assert len([n for n in os.listdir(run.path) if n.endswith('.index')]) == 2
    task = run.config.task
    assert entry['folder'] == f'run_{index:03}'
    assert tuple(entry['block_l2']) == task.block_l2
    assert entry['label_smoothing'] == task.objective.label_smoothing
    assert (entry['l2'] is None) == bool(index)
    logits = run.load_model()(held_out.images, training=False)[0].numpy()
    wanted = scipy.special.log_softmax(logits, axis=-1)
    log_probs = held_out_predictions.read_log_probs(f'{run.path}.npz')
    np.testing.assert_allclose(log_probs, wanted, rtol=1e-4, atol=1e-5)
    nll = -np.mean(wanted[np.arange(32), held_out.labels])
    assert entry['nll'] == pytest.approx(nll, rel=1e-4)
    accuracy = np.mean(logits.argmax(-1) == held_out.labels)
    assert entry['accuracy'] == pytest.approx(accuracy)
  assert len({entry['nll'] for entry in record['runs']}) == 3


def test_members_are_those_selected_in_order(searched):
  path, members = searched
  record = json.loads(_record(path))
  log_probs = np.stack(
    [
      held_out_predictions.read_log_probs(os.path.join(path, f'run_{i:03}.npz'))
      for i in range(3)
    ]
  )
  with np.load(os.path.join(path, 'run_000.npz'), allow_pickle=False) as file:
    labels = file['labels']
  selected = ensemble_selection.select(log_probs, labels, 2)
  names = [f'run_{index:03}' for index in selected.counts]
  assert members == [os.path.join(path, name) for name in names]
  assert [entry['folder'] for entry in record['members']] == names
  assert [entry['picks'] for entry in record['members']] == list(
    selected.counts.values()
  )
  assert [entry['folder'] for entry in record['picks']] == [
    f'run_{index:03}' for index in selected.picks
  ]
  assert [entry['nll'] for entry in record['picks']] == list(selected.nlls)
  probs = np.exp(log_probs[list(selected.counts)].astype(float)).mean(0)
  assert record['nll'] == pytest.approx(
    -np.mean(np.log(probs[np.arange(32), labels]))
  )


def test_a_stopped_search_goes_on_as_if_it_had_not_been(
  searched, one_device, tmp_path, interrupted_after
):
  path = _copy(searched, tmp_path / 'teacher', 'run_000', 'run_002')
  with interrupted_after(2), pytest.raises(KeyboardInterrupt):
    experiments.train_teacher(_config(), path, one_device, False)
  assert runs.open_run(os.path.join(path, 'run_001'), '--run').step == 2
  assert not os.path.exists(os.path.join(path, 'search.json'))
  members = experiments.train_teacher(_config(), path, one_device, False)
  assert [os.path.basename(m) for m in members] == [
    os.path.basename(m) for m in searched[1]
  ]
  assert _record(path) == _record(searched[0])


def test_only_what_is_missing_is_made(
  searched, one_device, tmp_path, monkeypatch
):
  names = os.listdir(searched[0])
  path = _copy(searched, tmp_path / 'teacher', *names)
  monkeypatch.setattr(session, 'Trainer', None)
  os.remove(os.path.join(path, 'run_000.npz'))
  os.truncate(os.path.join(path, 'run_001.npz'), 500)
  os.remove(os.path.join(path, 'search.json'))
  before = _written(path)
  experiments.train_teacher(_config(), path, one_device, False)
  after = _written(path)
  assert {name for name in after if after[name] != before.get(name)} == {
    os.path.join(path, name) for name in ('run_000.npz', 'run_001.npz')
  }
  assert _record(path) == _record(searched[0])
  # Stored predictions of other weights are not used.
  shutil.copy(
    os.path.join(path, 'run_002.npz'), os.path.join(path, 'run_001.npz')
  )
  experiments.train_teacher(_config(), path, one_device, False)
  assert _record(path) == _record(searched[0])


def test_a_search_is_extended(searched, one_device, tmp_path):
  path = _copy(searched, tmp_path / 'teacher', *os.listdir(searched[0]))
  before = _written(path)
  members = experiments.train_teacher(_config(4), path, one_device, False)
  after = _written(path)
  assert before.items() <= after.items()
  few, many = (json.loads(_record(p)) for p in (searched[0], path))
  assert many['runs'][:3] == few['runs'] and len(many['runs']) == 4
  assert many['settings']['search']['num_runs'] == 4
  assert len(set(members)) == 2


@pytest.mark.parametrize(
  'text, run, expected',
  [
    ('task.seed=1', 'run_000', 'task.seed=2000'),
    ('teacher.epochs=3', 'run_000', 'trainer.epochs=3'),
    ('teacher.search.l2_range=[0.1,1]', 'run_001', 'task.block_l2='),
  ],
)
def test_a_search_of_another_experiment_is_refused(
  text, run, expected, searched, one_device, monkeypatch
):
  config = copy.deepcopy(_config(4))
  configs.override_by_text(config, text)
  monkeypatch.setattr(session, 'Trainer', None)
  path = os.path.join(searched[0], run)
  with refusals.refused('model_dir', path, expected):
    experiments.train_teacher(config, searched[0], one_device, False)
  assert not os.path.exists(os.path.join(searched[0], 'run_003'))


def test_two_replicas_score_as_one(searched, tmp_path, replicas):
  run = runs.open_run(os.path.join(searched[0], 'run_001'), '--run')
  _, held_out = data.open_training(
    data.open_configured(run.config.task.train_data), run.config.task.train_data
  )
  path = str(tmp_path / 'scores.npz')
  model = trained.open_trained([run.path], 'run')
  held_out_predictions.write_log_probs(path, model, held_out, 20, replicas)
  np.testing.assert_allclose(
    held_out_predictions.read_log_probs(path),
    held_out_predictions.read_log_probs(f'{run.path}.npz'),
    rtol=1e-4,
    atol=1e-5,
  )
