"""Tests of the SavedModel: what it returns, to whom, and how it is written."""

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import special
from scipy import stats
import tensorflow as tf
import tf_keras

from uncertainty_distill import modeling
from uncertainty_distill import serving
from uncertainty_distill.serving import export

_SHAPE = (16, 16, 3)


def _model(ensemble_size=1, seed=0):
  tf_keras.utils.set_random_seed(seed)
  return modeling.build_model(
      image_shape=_SHAPE, num_classes=4, depth=10, width=1,
      mean=(0.5,) * 3, stddev=(0.25,) * 3, ensemble_size=ensemble_size,
  )


def _images(count):
  generator = np.random.default_rng(0)
  return generator.integers(0, 256, (count, *_SHAPE), dtype=np.uint8)


@pytest.fixture(
    name='exported', scope='module', params=['single', 'batch', 'deep']
)
def fixture_exported(request, tmp_path_factory):
  """A model and the signature of its SavedModel."""
  if request.param == 'deep':
    model = modeling.DeepEnsemble([_model(2, seed=1), _model(1, seed=2)])
    model(_images(1))
  else:
    model = _model({'single': 1, 'batch': 3}[request.param])
  folder = str(tmp_path_factory.mktemp(request.param) / 'served')
  assert serving.export_saved_model(model, _SHAPE, folder) == folder
  loaded = tf.saved_model.load(folder)
  # Whoever drops the loaded object drops its variables.
  yield model, loaded.signatures['serving_default']
  del loaded


def _serve(served, images):
  """Calls a SavedModel's signature, or that of the one in a folder."""
  if isinstance(served, str):
    loaded = tf.saved_model.load(served)
    served = loaded.signatures['serving_default']
  results = served(images=tf.constant(images))
  return {key: value.numpy() for key, value in results.items()}


def test_signature(exported):
  model, serve = exported
  members = model(_images(1)).shape[0]
  [(name, spec)] = serve.structured_input_signature[1].items()
  assert (name, spec.dtype) == ('images', tf.uint8)
  assert spec.shape.as_list() == [None, *_SHAPE]
  served = serve.structured_outputs
  assert {key: spec.shape.as_list() for key, spec in served.items()} == {
      'probabilities': [None, 4],
      'member_probabilities': [None, members, 4],
      'predictive_entropy': [None],
  }
  assert {spec.dtype for spec in served.values()} == {tf.float32}


@pytest.mark.parametrize('count', [1, 3, 7])
def test_serves_what_the_model_predicts(exported, count):
  model, serve = exported
  images = _images(count)
  served = _serve(serve, images)
  member_probs = special.softmax(model(images, training=False), axis=-1)
  probs = member_probs.mean(0)
  assert served['probabilities'].shape == (count, 4)
  np.testing.assert_allclose(
      served['member_probabilities'], np.swapaxes(member_probs, 0, 1), atol=1e-5
  )
  np.testing.assert_allclose(served['probabilities'], probs, atol=1e-5)
  np.testing.assert_allclose(
      served['predictive_entropy'], stats.entropy(probs, axis=-1), atol=1e-4
  )
  # The statistics are the moving ones: an example does not see the others.
  first = _serve(serve, images[:1])
  for key in served:
    np.testing.assert_allclose(first[key], served[key][:1], atol=1e-5)


def test_entropy_by_hand():
  # Members that are certain of two different classes; of the same; unsure.
  logits = tf.constant([
      [[1e4, 0.0], [0.0, 1e4], [0.0, 0.0]],
      [[0.0, 1e4], [0.0, 1e4], [0.0, 0.0]],
  ])
  served = export.predict(lambda images, training: logits, None)
  np.testing.assert_allclose(
      served['predictive_entropy'], [np.log(2), 0, np.log(2)], atol=1e-6
  )
  np.testing.assert_allclose(
      served['probabilities'], [[0.5, 0.5], [0, 1], [0.5, 0.5]]
  )
  np.testing.assert_allclose(
      served['member_probabilities'],
      [[[1, 0], [0, 1]], [[0, 1], [0, 1]], [[0.5, 0.5], [0.5, 0.5]]],
  )


_FRESH = """
import sys

class Refuse:
  def find_spec(self, name, path=None, target=None):
    refused = ('uncertainty_distill', 'edward2', 'official',
               'tensorflow_probability')
    if name.partition('.')[0] in refused:
      raise ImportError(f'{name} is refused')

sys.meta_path.insert(0, Refuse())
import numpy as np
import tensorflow as tf
folder, images, results = sys.argv[1:]
loaded = tf.saved_model.load(folder)
serve = loaded.signatures['serving_default']
served = serve(images=tf.constant(np.load(images)))
np.savez(results, **{key: value.numpy() for key, value in served.items()})
assert 'tf_keras' not in sys.modules
"""


def test_needs_nothing_but_tensorflow(tmp_path):
  folder, images = str(tmp_path / 'served'), _images(3)
  serving.export_saved_model(_model(2), _SHAPE, folder)
  paths = [str(tmp_path / name) for name in ('images.npy', 'results.npz')]
  np.save(paths[0], images)
  # Isolated: neither the environment nor this folder adds to its path, and
  # TensorFlow is not told to use Keras 2.
  environment = dict(os.environ)
  environment.pop('TF_USE_LEGACY_KERAS')
  done = subprocess.run(
      [sys.executable, '-I', '-c', _FRESH, folder, *paths], cwd=tmp_path,
      env=environment, capture_output=True, text=True, check=False, timeout=120,
  )
  assert done.returncode == 0, done.stderr[-2000:]
  want = _serve(folder, images)
  with np.load(paths[1]) as results:
    assert set(results) == set(want)
    for key in want:
      np.testing.assert_allclose(results[key], want[key], atol=1e-6)


def test_replaces_a_whole_folder(tmp_path):
  folder, images = tmp_path / 'served' / '1', _images(2)
  os.makedirs(folder)
  (folder / 'stale.txt').write_text('of another export')
  os.makedirs(f'{folder}.tmp')  # As an interrupted export would leave it.
  (tmp_path / 'served' / '1.tmp' / 'stale.txt').write_text('half')
  served = []
  # A trailing slash names the same folder.
  for seed, directory in (1, f'{folder}'), (2, f'{folder}/'):
    serving.export_saved_model(_model(seed=seed), _SHAPE, directory)
    assert sorted(os.listdir(folder)) == [
        'assets', 'fingerprint.pb', 'saved_model.pb', 'variables'
    ]
    assert os.listdir(tmp_path / 'served') == ['1']
    served.append(_serve(str(folder), images)['probabilities'])
  want = special.softmax(_model(seed=2)(images, training=False), axis=-1)[0]
  np.testing.assert_allclose(served[1], want, atol=1e-5)
  assert np.abs(served[0] - served[1]).max() > 1e-3


def test_a_failed_export_leaves_the_folder_as_it_was(tmp_path, monkeypatch):
  folder = tmp_path / 'served'
  os.makedirs(folder)
  (folder / 'saved_model.pb').write_text('of an earlier export')

  def fail(*_, **__):
    raise OSError('No space left on device')

  monkeypatch.setattr(tf.saved_model, 'save', fail)
  with pytest.raises(OSError, match='No space'):
    serving.export_saved_model(_model(), _SHAPE, str(folder))
  assert os.listdir(folder) == ['saved_model.pb']


def test_serves_float32_from_mixed_precision(tmp_path):
  tf_keras.mixed_precision.set_global_policy('mixed_bfloat16')
  try:
    model = _model()
  finally:
    tf_keras.mixed_precision.set_global_policy('float32')
  folder = serving.export_saved_model(model, _SHAPE, str(tmp_path / 'served'))
  served = _serve(folder, _images(3))
  assert {value.dtype for value in served.values()} == {np.dtype(np.float32)}
  np.testing.assert_allclose(served['probabilities'].sum(-1), 1, atol=1e-6)
