"""Tests of pairing a teacher's weights with a student's, and of refusals."""

from uncertainty_distill import configs, data, exporting, models, runs, trained

import pytest
import refusals
import tensorflow as tf
import tiny_networks


def _config(**model):
  config = configs.load_config('digits_wrn10_1')
  config.task.model.ensemble_size = 2
  resolved = configs.resolve(config, data.open_dataset('digits'))
  resolved.task.model.override(model)
  return resolved


def _network(**model):
  return tiny_networks.build(**_config(**model).task.model.as_dict())


def _run(path, **model):
  run = runs.claim_run(str(path), _config(**model))
  # The run is complete, but its checkpoint is empty, since no test loads it.
  tf.train.CheckpointManager(
    tf.train.Checkpoint(), run.path, max_to_keep=1
  ).save(checkpoint_number=run.config.trainer.train_steps)
  return run.path


def _check(paths, student='default'):
  trained.check_networks(
    trained.open_trained(paths, 'teacher'),
    _config().task.model if student == 'default' else student,
    'a test',
  )


@pytest.mark.parametrize('depth, width', [(10, 1), (10, 2), (16, 1)])
def test_pairs_are_of_one_place_in_the_network(depth, width):
  shape = {'depth': depth, 'width': width}
  student = _network(**shape)
  members = [_network(ensemble_size=1, **shape) for _ in range(2)]
  pairs = trained.pair_weights(student, members)
  # The definition gives each place in the network a name of its own.
  names = {
    layer.kernel.ref(): (index, layer.name)
    for index, model in enumerate((student, *members))
    for layer in model.layers
    if hasattr(layer, 'kernel')
  }
  fast = [v.ref() for *pair, _ in pairs for v in pair[1:]]
  assert fast == [v.ref() for v in models.fast_weights(student)]
  assert len(pairs) == len(names) / 3
  for kernel, _, _, targets in pairs:
    _, name = names[kernel.ref()]
    # The targets are the variables themselves, not copies.
    assert [names[w.ref()] for w in targets] == [(1, name), (2, name)]
    assert {w.shape for w in targets} == {kernel.shape}


def test_accepts_plain_networks_of_the_same_shapes(tmp_path):
  paths = [_run(tmp_path / name, ensemble_size=1) for name in 'abc']
  _check(paths[:2])
  _check(paths, student=None)


@pytest.mark.parametrize(
  'other, found',
  [
    ({'ensemble_size': 1, 'width': 2}, 'WRN-10-2'),
    ({'ensemble_size': 1, 'depth': 16}, 'WRN-16-1'),
    ({'ensemble_size': 2}, '2 members'),
    ({'ensemble_size': 1, 'num_classes': 7}, '7 classes'),
    ({'ensemble_size': 1, 'image_shape': (8, 8, 3)}, '[8, 8, 3]'),
  ],
)
def test_refuses_other_networks(other, found, tmp_path):
  fits = _run(tmp_path / 'fits', ensemble_size=1)
  path = _run(tmp_path / 'other', **other)
  for student in 'default', None:
    with refusals.refused('teacher', path, 'WRN-10-1') as caught:
      _check([fits, path], student)
    assert found in str(caught.value)


def test_refuses_another_number_of_members(tmp_path):
  path = _run(tmp_path / 'fits', ensemble_size=1)
  with refusals.refused('teacher', 3, '2'):
    _check([path] * 3)


def test_refuses_what_shows_no_weights(tmp_path):
  path = str(tmp_path / 'served')
  model = _network(ensemble_size=1)
  exporting.export_saved_model(model, model.input_shape[1:], path)
  assert tf.saved_model.contains_saved_model(path)
  for paths in [path, path], ['stored.npz']:
    with refusals.refused('teacher', paths[0], 'a run folder'):
      _check(paths)
  with refusals.refused('teacher', path, 'a run folder'):
    trained.open_trained([path], 'teacher').networks()
