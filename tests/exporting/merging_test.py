"""Tests of merged members: how they are exported, evaluated and refused."""

import os

from uncertainty_distill import data, evaluation, exporting, trained
from uncertainty_distill import training as training_lib
from uncertainty_distill.io import files

import numpy as np
import pytest
import refusals
import tensorflow as tf
import tiny_runs

_ONES = 'task.model.fast_weights=ones'


def test_a_merged_run_is_exported_and_scored_beside_itself(tmp_path):
  config = tiny_runs.config(_ONES)
  run = tiny_runs.save(str(tmp_path / 'run'), config)
  served = str(tmp_path / 'served')
  exporting.export([run], served, exporting.ExportOptions(merge_members=True))
  loaded = tf.saved_model.load(served)
  images = data.open_dataset('digits').test.images[:5]
  answer = loaded.signatures['serving_default'](images=tf.constant(images))
  assert answer['member_probabilities'].shape == (5, 1, 10)
  whole = trained.open_trained([run], 'path')
  want = tf.nn.softmax(whole.ensemble()(images))[0]
  np.testing.assert_allclose(answer['probabilities'], want, atol=1e-5)
  card = files.read_text(f'{served}/assets.extra/MODEL_CARD.md')
  assert 'A network of the size' in card and ' 4 members of a' in card
  table = exporting.compare_merged([run])
  assert '| Merged |' in table and '100.0%' in table
  merged = trained.merge_members(whole)
  assert merged.ensemble_size == 1
  assert merged.fingerprint != whole.fingerprint
  assert not merged.has_fingerprint(whole.fingerprint)
  assert not merged.has_fingerprint(whole.time_mark)
  systems = [
    evaluation.System('model', None, (run,)),
    evaluation.System('merged', None, (run,), merged=True),
  ]
  found = evaluation.evaluate_systems(
    systems,
    training_lib.open_experiment(
      config, tf.distribute.OneDeviceStrategy('cpu')
    ),
  )
  assert found.sizes['model'].members == 4
  assert found.sizes['merged'].members == 1
  assert found.sizes['merged'].parameters < found.sizes['model'].parameters
  first, second = found.results[0], found.results[1]
  assert {first.model, second.model} == {'model', 'merged'}
  assert first.metrics['nll'] == pytest.approx(second.metrics['nll'], rel=1e-4)


def test_what_has_no_mean_is_refused(tmp_path):
  signs = tiny_runs.save(
    str(tmp_path / 'signs'),
    tiny_runs.config('task.model.fast_weights=first_layer_signs'),
  )
  single = tiny_runs.save(
    str(tmp_path / 'single'), tiny_runs.config('task.model.ensemble_size=1')
  )
  served = str(tmp_path / 'served')
  options = exporting.ExportOptions(merge_members=True)
  for paths in ([signs], [single], [signs, single]):
    with refusals.refused('path'):
      exporting.export(paths, served, options)
  assert not os.path.exists(served)
