"""Tests of a teacher's weights beside a student's, and of what is refused."""

from uncertainty_distill import configs, data, exporting, models, runs, trained
from uncertainty_distill.errors import InputError

import pytest
import tensorflow as tf


def _config(**model):
  config = configs.load_config('digits_wrn10_1')
  config.task.model.ensemble_size = 2
  resolved = configs.resolve(config, data.open_dataset('digits'))
  resolved.task.model.override(model)
  return resolved


def _network(**model):
  return models.build_model(**_config(**model).task.model.as_dict())


def _run(path, **model):
  run = runs.claim_run(str(path), _config(**model))
  # Of a network that is complete, and that nobody needs.
  tf.train.CheckpointManager(
    tf.train.Checkpoint(), run.path, max_to_keep=1
  ).save(checkpoint_number=run.config.trainer.train_steps)
  return run.path


def _check(paths, **model):
  trained.check_weights(paths, _config(**model).task.model, '--teacher', 'it')


@pytest.mark.parametrize('depth, width', [(10, 1), (10, 2), (16, 1)])
def test_pairs_are_of_one_place_in_the_network(depth, width):
  shape = {'depth': depth, 'width': width}
  student = _network(**shape)
  members = [_network(ensemble_size=1, **shape) for _ in range(2)]
  pairs = trained.pair_weights(student, models.DeepEnsemble(members))
  # The definition names each place, and each name is there once.
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
    # The very variables: no copies.
    assert [names[w.ref()] for w in targets] == [(1, name), (2, name)]
    assert {w.shape for w in targets} == {kernel.shape}


def test_accepts_plain_networks_of_the_same_shapes(tmp_path):
  paths = [_run(tmp_path / name, ensemble_size=1) for name in 'ab']
  _check(paths)


@pytest.mark.parametrize(
  'other, message',
  [
    (
      {'ensemble_size': 1, 'width': 2},
      'single WRN-10-1 of .*, for it; this one is WRN-10-2 of',
    ),
    ({'ensemble_size': 1, 'depth': 16}, 'one is WRN-16-1 of images .* classes'),
    ({'ensemble_size': 2}, 'this one is WRN-10-1 of .* with 2 members'),
    ({'ensemble_size': 1, 'num_classes': 7}, '10 classes, .* and 7 classes'),
    ({'ensemble_size': 1, 'image_shape': (8, 8, 3)}, r'is .* \[8, 8, 3\] and'),
  ],
)
def test_refuses_other_networks(other, message, tmp_path):
  fits = _run(tmp_path / 'fits', ensemble_size=1)
  path = _run(tmp_path / 'other', **other)
  with pytest.raises(InputError, match=message) as raised:
    _check([fits, path])
  assert str(raised.value).startswith(f"--teacher: got '{path}'")


def test_refuses_another_number_of_members(tmp_path):
  path = _run(tmp_path / 'fits', ensemble_size=1)
  with pytest.raises(InputError, match="got '3 folders', wants one for each"):
    _check([path] * 3)


def test_refuses_a_run_that_is_not_complete(tmp_path):
  path = runs.claim_run(str(tmp_path), _config(ensemble_size=1)).path
  with pytest.raises(InputError, match='it is at step 0 of 720'):
    _check([path, path])


def test_refuses_what_shows_no_weights(tmp_path):
  path = str(tmp_path / 'served')
  model = _network(ensemble_size=1)
  exporting.export_saved_model(model, model.input_shape[1:], path)
  assert tf.saved_model.contains_saved_model(path)
  for paths in [path, path], ['stored.npz']:
    with pytest.raises(InputError, match='do not show the weights') as raised:
      _check(paths)
    assert str(raised.value).startswith(f"--teacher: got '{paths[0]}'")
