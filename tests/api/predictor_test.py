"""Tests of predictions by the public API."""

from uncertainty_distill import load

import numpy as np
import pytest
import refusals
import tensorflow as tf
import tiny_served


@pytest.fixture(name='served', scope='module')
def fixture_served(tmp_path_factory):
  """A model, its SavedModel of temperature 2, and images."""
  folder = tmp_path_factory.mktemp('api') / 'model'
  model, directory = tiny_served.make(folder, temperature=2.0)
  generator = np.random.default_rng(0)
  images = generator.integers(0, 256, (150, 16, 16, 3), dtype=np.uint8)
  return model, directory, images


def test_predictions_are_the_saved_models(served):
  _, folder, images = served
  predictor = load(folder)
  assert (predictor.image_shape, predictor.ensemble_size) == ((16, 16, 3), 3)
  assert predictor.class_names == tiny_served.CLASS_NAMES
  got = predictor.predict(images)
  loaded = tf.saved_model.load(folder)
  want = loaded.signatures['serving_default'](images=tf.constant(images))
  assert set(want) == {k for k, v in vars(got).items() if v is not None}
  for name, value in want.items():
    value, found = value.numpy(), getattr(got, name)
    assert found.shape == value.shape
    if name == 'class_name':
      assert found.tolist() == [each.decode() for each in value]
    else:
      assert found.dtype == value.dtype
      np.testing.assert_allclose(found, value, atol=1e-5, err_msg=name)
  assert len(got) == 150 and repr(got) == '<Predictions: B=150, E=3, K=4>'


def test_the_order_of_images_does_not_matter(served):
  _, folder, images = served
  predictor = load(folder)
  whole = predictor.predict(images)
  turned = predictor.predict(images[::-1])
  np.testing.assert_allclose(
    turned.member_probabilities[::-1], whole.member_probabilities, atol=1e-5
  )
  none = predictor.predict(images[:0])
  assert none.member_probabilities.shape == (0, 3, 4)
  assert none.class_name.shape == (0,) and len(none) == 0


def test_several_models_are_one_ensemble(served, tmp_path):
  _, folder, images = served
  _, other = tiny_served.make(tmp_path / 'other')
  both = load([folder, tmp_path / 'other']).predict(images[:5])
  parts = [load(path).predict(images[:5]) for path in (folder, other)]
  np.testing.assert_allclose(
    both.probabilities,
    np.mean([p.probabilities for p in parts], 0),
    atol=1e-6,
  )
  assert both.member_probabilities.shape == (5, 6, 4)


def test_refuses_other_images(served):
  _, folder, images = served
  predictor = load(folder)
  for wrong, value, hint in (
    (images / 255, 'float64 [150, 16, 16, 3]', ''),
    (images[:, :8], 'uint8 [150, 8, 16, 3]', ''),
    (images[0], 'uint8 [16, 16, 3]', 'images[None]'),
  ):
    with refusals.refused('images', value, 'uint8 [B, 16, 16, 3]') as caught:
      predictor.predict(wrong)
    told = caught.value.hint
    assert hint in told and bool(told) == bool(hint)


def test_refuses_what_is_no_path():
  with refusals.refused('path', 'object'):
    load(object())


def test_refuses_what_is_no_model(tmp_path):
  for path in tmp_path, tmp_path / 'gone':
    with refusals.refused('path', str(path)):
      load(path)
