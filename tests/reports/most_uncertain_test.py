"""Tests of the images that a system is least sure of."""

import os

from uncertainty_distill import evaluation
from uncertainty_distill.data import corruptions
from uncertainty_distill.reports import array_cache, html_page, most_uncertain

import html_reader
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
import tiny_dataset

_NAMES = ['cat', '<b>dog</b>', '$x$', *'defghij']


def _candidate(members=3):
  images = tf_keras.Input([16, 16, 3], dtype=tf.uint8)
  logits = [
    tf_keras.layers.Dense(
      10,
      kernel_initializer=tf_keras.initializers.RandomNormal(
        stddev=3e-3, seed=seed
      ),
    )(tf_keras.layers.Flatten()(tf.cast(images, tf.float32)))
    for seed in range(members)
  ]
  return evaluation.ScoredModel(
    'a', 0, tf_keras.Model(images, tf.stack(logits))
  )


@pytest.fixture(name='found', scope='module')
def _found():
  """The images found by an evaluation's entropies, and values by NumPy."""
  candidate, dataset = _candidate(), tiny_dataset.make(class_names=_NAMES)
  evaluator = evaluation.Evaluator([candidate], 8)
  evaluator.run(dataset, [corruptions.CLEAN])
  (entropies,) = evaluator.entropies
  logits = np.float64(candidate.network(dataset.images))
  probs = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
  mean = probs.mean(0)
  want = -(mean * np.log(mean)).sum(-1)
  np.testing.assert_allclose(entropies, want, rtol=1e-4)
  found = most_uncertain.find(candidate.network, dataset, entropies, 4)
  return found, dataset, probs, want


def test_they_are_those_of_the_highest_entropy(found):
  found, dataset, probs, entropies = found
  places = np.argsort(-entropies)[:4]
  assert found.places.tolist() == places.tolist()
  np.testing.assert_array_equal(found.images, dataset.images[places])
  np.testing.assert_array_equal(found.labels, dataset.labels[places])
  np.testing.assert_allclose(
    np.exp(found.log_probs), probs[:, places], rtol=1e-4
  )


def test_ties_keep_their_order_and_what_is_no_number_comes_never():
  dataset = tiny_dataset.make()
  entropies = np.full(30, 0.5)
  entropies[[3, 7]] = np.nan, np.inf
  entropies[20] = 0.75
  found = most_uncertain.find(_candidate().network, dataset, entropies, 5)
  assert found.places.tolist() == [20, 0, 1, 2, 4]
  found = most_uncertain.find(_candidate().network, dataset, entropies * np.nan)
  assert found.places.tolist() == []
  assert most_uncertain.sections('A', found, os.devnull) == []


def test_what_is_kept_is_known_by_what_it_was_made_from(found, tmp_path):
  directory, made_from = str(tmp_path), ['ckpt@1', 'digits:70']

  def read(name, marks):
    kind = most_uncertain.MostUncertain
    return array_cache.read(kind, directory, name, marks.__eq__)

  assert read('a/0', made_from) is None
  for _ in range(2):
    array_cache.write(found[0], directory, 'a/0', made_from)
    (file,) = (tmp_path / 'images').iterdir()
  content = file.read_bytes()
  kept = read('a/0', made_from)
  for name in ('class_names', 'places', 'images', 'labels', 'log_probs'):
    np.testing.assert_array_equal(getattr(kept, name), getattr(found[0], name))
  assert read('a/1', made_from) is None
  assert read('a/0', made_from[:1]) is None
  for damaged in content[:-30], b'', b'text':
    file.write_bytes(damaged)
    assert read('a/0', made_from) is None
  array_cache.write(found[0], directory, 'a/0', made_from)
  assert file.read_bytes() == content


def test_pictures_say_what_every_member_says(found, tmp_path):
  found, _, probs, entropies = found
  sections = most_uncertain.sections('The <i>student</i>', found, str(tmp_path))
  (tmp_path / 'a.md').write_text('# A\n\n' + '\n\n'.join(sections))
  got = html_reader.read(html_page.write_page(tmp_path, 'a.html', {'a.md': ''}))
  assert got.headings[1] == (
    2,
    'The images that The <i>student</i> is least sure of',
  )
  texts = []
  for place in np.argsort(-entropies)[:4]:
    of_image = probs[:, place]
    votes = ', '.join(_NAMES[vote] for vote in of_image.argmax(-1))
    best = of_image.mean(0).argmax()
    texts.append(
      f'Test image {place}, labeled {_NAMES[place % 3]}; predicted '
      f'{_NAMES[best]} with {of_image.mean(0)[best]:.2f}; the members vote '
      f'{votes}'
    )
  assert list(got.pictures) == texts
  for picture in got.pictures.values():
    assert picture.std() > 20
  assert 'each of the 3 members' in got.text


def test_a_single_network_has_no_votes(tmp_path):
  dataset = tiny_dataset.make()
  found = most_uncertain.find(
    _candidate(1).network, dataset, np.arange(30.0), 2
  )
  text = '\n'.join(most_uncertain.sections('A', found, str(tmp_path)))
  assert text.count('Test image ') == 2 and 'vote' not in text
  assert 'MI' not in text
