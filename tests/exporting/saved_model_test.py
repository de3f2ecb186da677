"""Tests of SavedModels: what they return and how they are written."""

import os

from uncertainty_distill import exporting, models
from uncertainty_distill.exporting import freezing, predictive_distribution

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
import tiny_networks
import tiny_served
from scipy import special, stats

_SHAPE = (16, 16, 3)


def _model(ensemble_size=1, seed=0):
  tf_keras.utils.set_random_seed(seed)
  return tiny_networks.build(
    image_shape=_SHAPE,
    num_classes=4,
    depth=10,
    width=1,
    mean=(0.5,) * 3,
    stddev=(0.25,) * 3,
    ensemble_size=ensemble_size,
  )


def _linear(seed=0):
  """Returns a network of one layer, for tests that work with any model."""
  tf_keras.utils.set_random_seed(seed)
  images = tf_keras.Input(_SHAPE)
  logits = tf_keras.layers.Dense(4)(tf_keras.layers.Flatten()(images / 255))
  return tf_keras.Model(images, logits[None])


def _images(count):
  generator = np.random.default_rng(0)
  return generator.integers(0, 256, (count, *_SHAPE), dtype=np.uint8)


@pytest.fixture(
  name='exported', scope='module', params=['single', 'batch', 'deep']
)
def fixture_exported(request, tmp_path_factory):
  """A model and the signature of its SavedModel."""
  if request.param == 'deep':
    model = models.DeepEnsemble([_model(2, seed=1), _model(1, seed=2)])
    model(_images(1))
  else:
    model = _model({'single': 1, 'batch': 3}[request.param])
  folder = str(tmp_path_factory.mktemp(request.param) / 'served')
  assert exporting.export_saved_model(model, _SHAPE, folder) == folder
  loaded = tf.saved_model.load(folder)
  # The variables live only as long as the loaded object.
  yield model, loaded.signatures['serving_default']
  del loaded


def _serve(served, images):
  """Calls a signature, or the signature of the SavedModel in a folder."""
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
    **dict.fromkeys(
      (
        'label',
        'class_name',
        'confidence',
        'predictive_entropy',
        'expected_entropy',
        'mutual_information',
      ),
      [None],
    ),
  }
  types = {key: spec.dtype for key, spec in served.items()}
  assert types.pop('label') == tf.int32
  assert types.pop('class_name') == tf.string
  assert set(types.values()) == {tf.float32}


@pytest.mark.parametrize('count', [1, 3, 9])
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
  entropy = stats.entropy(probs, axis=-1)
  expected = stats.entropy(member_probs, axis=-1).mean(0)
  for key, want in {
    'predictive_entropy': entropy,
    'expected_entropy': expected,
    'mutual_information': entropy - expected,
    'confidence': probs.max(-1),
  }.items():
    np.testing.assert_allclose(served[key], want, atol=1e-4)
  assert served['label'].tolist() == probs.argmax(-1).tolist()
  assert [name.decode() for name in served['class_name']] == [
    str(label) for label in probs.argmax(-1)
  ]
  # Batch normalization uses moving statistics, so the outputs for an example do
  # not depend on the other examples.
  first = _serve(serve, images[:1])
  for key in set(served) - {'class_name'}:
    np.testing.assert_allclose(first[key], served[key][:1], atol=1e-5)


def test_serves_no_images_at_all(exported):
  model, serve = exported
  served = _serve(serve, _images(0))
  members = model(_images(1)).shape[0]
  assert served['member_probabilities'].shape == (0, members, 4)
  assert {len(value) for value in served.values()} == {0}


def test_members_are_the_same_in_turn_and_at_once(monkeypatch):
  model = _model(3)
  in_turn = freezing.freeze(model, _SHAPE)
  monkeypatch.setattr(freezing, '_MOST_KERNEL_BYTES', 0)
  at_once = freezing.freeze(model, _SHAPE)
  # Large batches are computed in turn on a CPU, whatever the graph is.
  for count in 3, 9:
    images = tf.constant(_images(count))
    np.testing.assert_allclose(in_turn(images), at_once(images), atol=1e-4)


def test_too_large_a_graph_keeps_variables(tmp_path, monkeypatch):
  model, images, graphs = _model(2), _images(3), {}
  want = special.softmax(model(images, training=False), axis=-1).mean(0)
  for limit in 0, 1e9:
    monkeypatch.setattr(freezing, '_MOST_GRAPH_BYTES', limit)
    folder = exporting.export_saved_model(
      model, _SHAPE, str(tmp_path / 'served')
    )
    graphs[limit] = os.path.getsize(f'{folder}/saved_model.pb')
    served = _serve(folder, images)['probabilities']
    np.testing.assert_allclose(served, want, atol=1e-5)
  # As constants, the weights are written only once for both signatures.
  weights = sum(v.shape.num_elements() * 4 for v in model.weights)
  assert weights < graphs[1e9] < graphs[0] + 1.1 * weights


def test_uncertainty_by_hand():
  # Members that are sure of different classes; of the same class; unsure.
  logits = tf.constant(
    [
      [[1e4, 0.0], [0.0, 1e4], [0.0, 0.0]],
      [[0.0, 1e4], [0.0, 1e4], [0.0, 0.0]],
    ]
  )
  served = predictive_distribution.outputs_from_logits(logits)
  two = np.log(2)
  np.testing.assert_allclose(served['predictive_entropy'], [two, 0, two])
  np.testing.assert_allclose(served['expected_entropy'], [0, 0, two])
  np.testing.assert_allclose(served['mutual_information'], [two, 0, 0])
  np.testing.assert_allclose(
    served['probabilities'], [[0.5, 0.5], [0, 1], [0.5, 0.5]]
  )
  np.testing.assert_allclose(
    served['member_probabilities'],
    [[[1, 0], [0, 1]], [[0, 1], [0, 1]], [[0.5, 0.5], [0.5, 0.5]]],
  )
  named = predictive_distribution.with_class_names(served, ['cat', 'dog'])
  assert named['class_name'].numpy().tolist() == [b'cat', b'dog', b'cat']


def test_temperature_is_the_members():
  # softmax([2 log 3, 0] / 2) = [3/4, 1/4]; the other member has [1/8, 7/8]. If
  # the temperature applied only to the mean, the members would keep
  # [9/10, 1/10] and [1/50, 49/50], and the mean would be [0.48, 0.52].
  logits = tf.constant([[[2 * np.log(3), 0.0]], [[0.0, 2 * np.log(7)]]])
  served = predictive_distribution.outputs_from_logits(logits, temperature=2.0)
  np.testing.assert_allclose(
    served['member_probabilities'],
    [[[3 / 4, 1 / 4], [1 / 8, 7 / 8]]],
    rtol=1e-6,
  )
  np.testing.assert_allclose(
    served['probabilities'], [[7 / 16, 9 / 16]], rtol=1e-6
  )


def test_replaces_a_whole_folder(tmp_path):
  folder, images = tmp_path / 'served' / '1', _images(2)
  os.makedirs(folder)
  (folder / 'stale.txt').write_text('of another export')
  partial = tmp_path / 'served' / '.1.partial'
  os.makedirs(partial)  # As an interrupted export would leave it.
  (partial / 'stale.txt').write_text('half')
  own = [tmp_path / 'served' / name for name in ('1.old', '1.tmp')]
  for path in own:
    path.mkdir()
    (path / 'mine.txt').write_text('kept')
  served = []
  # A trailing slash names the same folder.
  for seed, directory in (1, f'{folder}'), (2, f'{folder}/'):
    exporting.export_saved_model(_linear(seed), _SHAPE, directory)
    assert sorted(os.listdir(folder)) == [
      'assets',
      'assets.extra',
      'fingerprint.pb',
      'saved_model.pb',
      'variables',
    ]
    assert set(os.listdir(tmp_path / 'served')) == {'1', '1.old', '1.tmp'}
    assert all(os.listdir(path) == ['mine.txt'] for path in own)
    served.append(_serve(str(folder), images)['probabilities'])
  want = special.softmax(_linear(2)(images, training=False), axis=-1)[0]
  np.testing.assert_allclose(served[1], want, atol=1e-5)
  assert np.abs(served[0] - served[1]).max() > 1e-3


def test_a_failed_export_leaves_the_folder_as_it_was(tmp_path, monkeypatch):
  folder = tmp_path / 'served'
  os.makedirs(folder)
  (folder / 'saved_model.pb').write_text('of an earlier export')

  def fail(*_, **__):
    raise OSError('No space left on device')

  monkeypatch.setattr(tf.saved_model, 'save', fail)
  with pytest.raises(OSError):
    exporting.export_saved_model(_linear(), _SHAPE, str(folder))
  assert os.listdir(folder) == ['saved_model.pb']


def test_serves_float32_from_mixed_precision(tmp_path):
  tf_keras.mixed_precision.set_global_policy('mixed_bfloat16')
  try:
    model = _model()
  finally:
    tf_keras.mixed_precision.set_global_policy('float32')
  folder = exporting.export_saved_model(model, _SHAPE, str(tmp_path / 'served'))
  served = _serve(folder, _images(3))
  assert served['member_probabilities'].dtype == np.float32
  np.testing.assert_allclose(served['probabilities'].sum(-1), 1, atol=1e-6)


def test_what_a_link_points_to_is_replaced(tmp_path):
  first, link = tmp_path / '1', tmp_path / 'current'
  first.mkdir()
  (first / 'old').touch()
  link.symlink_to(first)
  for _ in range(2):
    tiny_served.make(link)
  assert link.is_symlink() and (first / 'saved_model.pb').is_file()
  assert {path.name for path in tmp_path.iterdir()} == {'1', 'current'}
  assert not (first / 'old').exists()
