"""Tests of predictions of image files."""

import os

from uncertainty_distill import exporting, load, metrics
from uncertainty_distill.api import image_files

import foreign
import numpy as np
import pytest
import refusals
import tensorflow as tf
import tiny_served
from PIL import Image


@pytest.fixture(name='served', scope='module')
def fixture_served(tmp_path_factory):
  return tiny_served.make(tmp_path_factory.mktemp('predicting') / 'model')


@pytest.fixture(name='images')
def fixture_images(tmp_path):
  """A folder of images, one of them broken, and a text; and the pixels."""
  generator = np.random.default_rng(0)
  pixels = generator.integers(0, 256, (70, 16, 16, 3), dtype=np.uint8)
  for index, image in enumerate(pixels):
    Image.fromarray(image).save(tmp_path / f'{index:02d}.png')
  Image.fromarray(pixels[3]).save(tmp_path / '03.png', 'WEBP', lossless=True)
  content = (tmp_path / '05.png').read_bytes()
  (tmp_path / '05.png').write_bytes(content[:100])
  (tmp_path / 'notes.txt').write_text('no image')
  return tmp_path, pixels


def test_predicts_what_can_be_read_in_batches(served, images):
  model, directory = served
  folder, pixels = images
  paths = image_files.find_images([str(folder)])
  found = list(image_files.predict_files(load(directory), paths))
  assert [answer.image for answer in found] == [
    str(folder / f'{index:02d}.png') for index in range(70)
  ]
  assert [
    index
    for index, answer in enumerate(found)
    if isinstance(answer, image_files.UnreadableFile)
  ] == [5]
  logits = model(pixels, training=False)
  want = exporting.outputs_from_logits(logits)
  for index in 0, 3, 69:  # 69 is in the second batch.
    answer = found[index]
    np.testing.assert_allclose(
      answer.probabilities, want['probabilities'][index], atol=1e-5
    )
    assert answer.mutual_information == pytest.approx(
      float(want['mutual_information'][index]), abs=1e-5
    )
    assert answer.class_name == ['cat', 'dog', 'eel', 'fox'][answer.label]
    labels = logits[:, index].numpy().argmax(-1)
    assert answer.votes == {
      name: count
      for place, name in enumerate(['cat', 'dog', 'eel', 'fox'])
      if (count := int((labels == place).sum()))
    }
    assert list(answer.votes.values()) == sorted(answer.votes.values())[::-1]


def test_pictures_are_for_models_of_color_images(images, tmp_path):
  path = foreign.save(
    tmp_path / 'gray',
    foreign.Linear(),
    lambda images: tf.fill([tf.shape(images)[0], 4], 0.25),
    (None, 16, 16, 1),
  )
  with refusals.refused('model', [16, 16, 1]):
    next(image_files.predict_files(load(path), [str(images[0] / '00.png')]))


def test_finds_files_folders_and_patterns(images):
  folder, _ = images
  one, text = str(folder / '07.png'), str(folder / 'notes.txt')
  assert image_files.find_images([text, one]) == [text, one]
  assert image_files.find_images([f'{folder}/1*.png']) == [
    str(folder / f'1{digit}.png') for digit in range(10)
  ]
  os.mkdir(folder / 'empty')
  for argument in f'{folder}/empty', f'{folder}/*.gif':
    with refusals.refused('IMAGE', argument):
      image_files.find_images([argument])


def test_a_folder_stands_for_its_visible_image_files(tmp_path):
  names = ['a.AVIF', 'b.jp2', 'c.heic', 'd.tiff', 'f.webp']
  for name in [*names, '._a.jpg', '.DS_Store', 'notes.txt']:
    (tmp_path / name).write_bytes(b'')
  (tmp_path / 'e.png').mkdir()
  want = [str(tmp_path / name) for name in names]
  assert image_files.find_images([str(tmp_path)]) == want
  with_text = sorted([*want, str(tmp_path / 'notes.txt')])
  assert image_files.find_images([f'{tmp_path}/*']) == with_text


def test_predicts_sets_where_the_model_has_them(images, tmp_path):
  rule = metrics.PredictionSets(0.1, 'aps', 0.9)
  model, directory = tiny_served.make(tmp_path / 'served', sets=rule)
  served = load(directory)
  assert served.has_sets
  folder, pixels = images
  probs = metrics.mean_probs(model(pixels[:4], training=False))
  want = rule.contains(probs).numpy()
  predictions = served.predict(pixels[:4])
  np.testing.assert_array_equal(predictions.prediction_set, want)
  assert predictions.set_size.tolist() == want.sum(-1).tolist()
  names = np.array(['cat', 'dog', 'eel', 'fox'])
  paths = [str(folder / f'0{index}.png') for index in range(4)]
  for index, answer in enumerate(image_files.predict_files(served, paths)):
    assert answer.prediction_set[0] == answer.class_name
    assert set(answer.prediction_set) == set(names[want[index]])
