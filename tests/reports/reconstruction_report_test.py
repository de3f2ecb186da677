"""Tests of the report on how near a BatchEnsemble comes to an ensemble."""

import json
import os

from uncertainty_distill import (
  configs,
  exporting,
  models,
  reconstruction,
  reports,
  runs,
  training,
)
from uncertainty_distill import (
  trained as trained_lib,
)

import matplotlib.image
import pytest
import tensorflow as tf
import tf_keras
from refusals import refused


def _run(path, index, text='', step=5):
  config = configs.load_config(
    'digits_wrn10_1', params_override=f'trainer.train_steps=5,{text}'
  )
  run = runs.claim_run(
    str(path), training.resolve(configs.member_config(config, index))
  )
  tf_keras.utils.set_random_seed(index)
  model = run.config.task.model.build()
  tf.train.CheckpointManager(
    tf.train.Checkpoint(model=model), run.path, max_to_keep=1
  ).save(checkpoint_number=step)
  return run.path


def _reconstruct(paths, *args, **kwargs):
  teacher = trained_lib.open_trained(paths, 'teacher')
  return reports.write_reconstruction(teacher, *args, **kwargs)


@pytest.fixture(scope='module', name='members')
def fixture_members(tmp_path_factory):
  folder = tmp_path_factory.mktemp('teacher')
  return [_run(folder / f'member_{i}', i) for i in range(2)]


def test_table_plot_and_json_say_the_same(members, tmp_path, capsys):
  table = _reconstruct(members, str(tmp_path), (1, 4), aligned=True)
  heading, _, *rows, together = [
    [cell.strip() for cell in line.strip('|').split('|')]
    for line in table.splitlines()
  ]
  assert heading == [
    'Layer',
    'Kernel',
    'Rank of W_i / W_j',
    'Rank 1',
    'Exists',
    'Aligned',
    'Exists',
    'Rank 4',
    'Exists',
    'Aligned',
    'Exists',
    'Any rank ≥',
    'Aligned',
  ]
  assert rows[0][:3] == ['Stem', '3×3×3×16', '3 of 3']
  assert rows[-1][:3] == ['Logits', '64×10', '10 of 10']
  content = json.loads((tmp_path / 'reconstruction.json').read_text())
  layers = content['layers']
  networks = [runs.open_run(path, '--run').load_model() for path in members]
  for index, row in enumerate(rows):
    trained, aligned = (layers[n][index] for n in ('as_trained', 'aligned'))
    kernels = [models.kernels(m)[index].numpy() for m in networks]
    full = min(kernels[0].shape[-2:])
    for rank, place in (1, 3), (4, 7):
      want = reconstruction.reconstruct(kernels, min(rank, full))
      want = want.error(kernels)
      assert trained['errors'][str(rank)] == want
      assert row[place] == f'{want:.3f}'
      assert row[place + 2] == f'{aligned["errors"][str(rank)]:.3f}'
      for shift, layer in (1, trained), (3, aligned):
        assert row[place + shift] == layer['verdicts'][str(rank)]
    assert row[11] == f'{trained["pixel_error"]:.3f}'
  total = [
    sum(layer['squared_norm'] * layer['errors'][rank] ** 2 for layer in of)
    / sum(layer['squared_norm'] for layer in of)
    for rank in '14'
    for of in layers.values()
  ]
  assert together[0] == 'All layers'
  assert together[3:11:2] == [f'{square**0.5:.3f}' for square in total]
  assert together[4:12:2] == ['0 of 10 layers'] * 4
  # Three layers have one pixel each: the two shortcuts and the last layer.
  assert [row[4] for row in rows].count('no: pixels') == 7
  assert [row[4] for row in rows].count('no: quotients') == 3
  assert [row[8] for row in rows].count('none found') == 3
  assert total[1] < total[0] and total[2] < total[0]
  assert content['teacher'] == [
    os.path.relpath(path, tmp_path) for path in members
  ]
  report = (tmp_path / 'reconstruction.md').read_text()
  assert table in report
  assert 'rank 1 in 0 of 10 layers, and full rank in 10' in report
  assert 'Rank 4: 0 of 10 layers' in report
  assert (
    matplotlib.image.imread(tmp_path / 'plots' / 'reconstruction.png').std()
    > 0.05
  )
  assert sorted(path.name for path in tmp_path.iterdir()) == [
    'plots',
    'reconstruction.html',
    'reconstruction.json',
    'reconstruction.md',
  ]
  assert '20/20' in capsys.readouterr().err
  assert _reconstruct(members, str(tmp_path), [4]) != table
  assert 'ligned' not in (tmp_path / 'reconstruction.md').read_text()


def test_recognizes_a_batch_ensemble(tmp_path):
  paths = [_run(tmp_path / f'member_{i}', 0) for i in range(2)]
  _reconstruct(paths, str(tmp_path / 'report'))
  report = (tmp_path / 'report' / 'reconstruction.md').read_text()
  assert 'Rank 1: 10 of 10 layers' in report
  assert 'one BatchEnsemble of rank 1.' in report
  assert 'none' not in report.split('## Are the members')[1]


def test_what_is_refused_leaves_nothing(members, tmp_path):
  served = str(tmp_path / 'served')
  exporting.export(members[:1], served)
  cases = [
    (members[:1], (1,), 'teacher', 'at least 2'),
    (members, (), 'ranks', '[]'),
    (members, (2, 2), 'ranks', '[2, 2]'),
    (members, (1, 65), 'rank', '64'),
    (members, (0,), 'rank', '64'),
    ([served, *members], (1,), 'teacher', served),
    ([*members, served], (1,), 'teacher', served),
    ([*members, str(tmp_path / 'gone')], (1,), 'teacher', 'gone'),
    (
      [*members, _run(tmp_path / 'wide', 2, 'teacher.width=2')],
      (1,),
      'teacher',
      'WRN-10-2',
    ),
    ([*members, _run(tmp_path / 'half', 2, step=3)], (1,), 'teacher', 'step 3'),
  ]
  directory = tmp_path / 'report'
  for paths, ranks, name, told in cases:
    with refused(name) as caught:
      _reconstruct(paths, str(directory), ranks)
    assert told in str(caught.value) and not directory.exists()
  (tmp_path / 'file').write_text('')
  with refused('output_dir', str(tmp_path / 'file')):
    _reconstruct(members, str(tmp_path / 'file'))
