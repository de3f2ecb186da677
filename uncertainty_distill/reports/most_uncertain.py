"""The test images that a system is most uncertain about, with its predictions.

These images have the highest predictive entropy. It counts both what the
members disagree on (the mutual information) and what all of them are unsure of
(the expected entropy). A single network has a predictive entropy, too.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable

from uncertainty_distill import metrics, plots
from uncertainty_distill.data import ImageSource
from uncertainty_distill.io import files
from uncertainty_distill.metrics import diversity
from uncertainty_distill.reports import array_cache
from uncertainty_distill.runtime import markup

import numpy as np
import tensorflow as tf

_COUNT = 12


@dataclasses.dataclass(frozen=True, eq=False)
class MostUncertain:
  """Images that a system is uncertain about, the most uncertain one first.

  Attributes:
    class_names: Strings [K].
    places: Integers [N], the rows of the images in the test set.
    images: uint8 [N, H, W, C].
    labels: Integers [N].
    log_probs: Float32 [E, N, K].
  """

  class_names: np.ndarray
  places: np.ndarray
  images: np.ndarray
  labels: np.ndarray
  log_probs: np.ndarray


def find(
  network: Callable[..., tf.Tensor],
  dataset: ImageSource,
  entropies: np.ndarray,
  count: int = _COUNT,
) -> MostUncertain:
  """Returns the images of the highest entropy, with every member's prediction.

  Args:
    network: The model, from images to logits [E, B, K].
    dataset: The clean test examples.
    entropies: The predictive entropy of each example, [N]. Examples of
      non-finite entropy are left out.
    count: The largest number of images.
  """
  finite = np.flatnonzero(np.isfinite(entropies))
  # Stable, so that images of equal entropy keep the order of the test set.
  order = np.argsort(-entropies[finite], kind='stable')
  places = finite[order[:count]]
  images = dataset.numpy(places)
  logits = network(tf.constant(images), training=False)
  return MostUncertain(
    class_names=np.array(dataset.spec.class_names),
    places=places,
    images=images,
    labels=dataset.labels[places],
    log_probs=tf.nn.log_softmax(tf.cast(logits, tf.float32)).numpy(),
  )


def sections(system: str, found: MostUncertain, directory: str) -> list[str]:
  """Draws the images, and returns the sections in Markdown that show them.

  Args:
    system: The name of the system, for readers.
    found: The result of `find`.
    directory: The folder for `images/least_sure_01.png` and so on.

  Returns:
    A heading, an explanation and the pictures; nothing without any image.

  Raises:
    OSError: A picture cannot be written.
  """
  if not len(found.places):
    return []
  files.make_folder(os.path.join(directory, array_cache.FOLDER))
  entropies = metrics.example_scores(found.log_probs, found.labels)['entropy']
  shared = diversity.mutual_information(found.log_probs)
  shown = []
  for index, (image, label) in enumerate(zip(found.images, found.labels)):
    name = f'{array_cache.FOLDER}/least_sure_{index + 1:02}.png'
    plots.save(
      plots.member_votes(
        image,
        np.exp(found.log_probs[:, index]),
        int(label),
        found.class_names,  # pyright: ignore[reportArgumentType]
        float(entropies[index]),
        float(shared[index]),
      ),
      os.path.join(directory, name),
    )
    shown.append(f'![{markup.escaped(_alt_text(found, index))}]({name})')
  return [
    f'## The images that {markup.escaped(system)} is least sure of',
    _caption(len(found.log_probs), len(shown)),
    '\n'.join(shown),
  ]


def _alt_text(found: MostUncertain, index: int) -> str:
  """Describes a picture, for those who cannot see it."""
  probs = np.exp(found.log_probs[:, index])
  mean = probs.mean(0)
  names, best = found.class_names, int(mean.argmax())
  text = (
    f'Test image {found.places[index]}, labeled {names[found.labels[index]]}; '
    f'predicted {names[best]} with {mean[best]:.2f}'
  )
  if len(probs) > 1:
    votes = ', '.join(str(names[vote]) for vote in probs.argmax(-1))
    text += f'; the members vote {votes}'
  return text


def _caption(members: int, count: int) -> str:
  """Explains which images these are and how to read the pictures."""
  if members == 1:
    return (
      f'The {count} clean test images with the highest predictive entropy, '
      'highest first. The bars are the probabilities of the most likely '
      'classes and of the label, which is in bold.'
    )
  return (
    f'The {count} clean test images with the highest predictive entropy, '
    "highest first. This is the entropy of the mean of the members' "
    'probabilities. It covers what the members disagree on, which the mutual '
    'information (MI) measures, and what all members are unsure of. The most '
    'likely classes and the label, which is in bold, have a bar for each of '
    f'the {members} members, in the same order and colors everywhere: dark if '
    'the member votes for the class, pale otherwise. Black lines are the '
    'means.'
  )
