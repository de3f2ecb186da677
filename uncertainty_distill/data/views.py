"""Views: an epoch's images, cropped, mirrored and changed by a seed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from uncertainty_distill.data.augmentation import augment, augmentation_table
from uncertainty_distill.data.distortion import Distortion
from uncertainty_distill.data.image_source import ImageSource
from uncertainty_distill.data.mixup import draw_pairs, mix
from uncertainty_distill.data.random_streams import Stream, example_seeds

import tensorflow as tf

_NO_DISTORTION = Distortion()


@dataclasses.dataclass(frozen=True)
class Views:
  """The images of views, each of which is determined by its number.

  Attributes:
    source: The N examples: first the examples with labels, then any examples
      with the label -1.
    seed: The seed of the views.
    padding: Pixels on each side before random crops; 0 for none.
    flip: Whether to mirror half of the images.
    distortion: The changes to images before crops and flips.
    mixup: The a of Beta(a, a), which gives the weights for mixing each image
      with another image of the view; 0 for no mixing. A mixed image has the
      label of its larger part.
    draws: Whether to also draw random numbers for each image, from which a
      teacher makes the view that it teaches on.
    clean: Whether to also return the images as they are before they are mixed
      or otherwise changed for the teacher.
  """

  source: ImageSource
  seed: int = 0
  padding: int = 0
  flip: bool = False
  distortion: Distortion = _NO_DISTORTION
  mixup: float = 0.0
  draws: bool = False
  clean: bool = False

  def parts(self, view: tf.Tensor, rows: tf.Tensor) -> dict[str, Any]:
    """Returns what `read` needs to know of some examples in a view.

    Args:
      view: The number of the view, a scalar integer.
      rows: The rows of the examples, int32 [...].

    Returns:
      A nested structure of tensors [..., ?].
    """
    count = len(self.source)
    tables = [
      augmentation_table(count, self.seed, view, self.padding, self.flip)
    ]
    if self.distortion:
      tables.append(self.distortion.seeds(count, self.seed, view))

    def of(rows):
      return {
        'rows': rows,
        'tables': tuple(tf.gather(t, rows) for t in tables),
      }

    parts = of(rows)
    if self.mixup:
      pairs = draw_pairs(count, self.seed, view, self.mixup)
      partners, weights = (tf.gather(values, rows) for values in pairs)
      parts.update(partners=of(partners), weights=weights)
    if self.draws:
      seeds = example_seeds(count, self.seed, view, Stream.TEACHER_VIEW)
      parts['seeds'] = tf.gather(seeds, rows)
    return parts

  def read(
    self, parts: Mapping[str, Any], images: tf.Tensor | None
  ) -> dict[str, tf.Tensor]:
    """Reads a batch.

    Args:
      parts: What `parts` returned for the batch.
      images: The images of the view, if they are known.

    Returns:
      `images` and, if asked for, `clean_images` and `draws`.
    """
    batch: dict[str, tf.Tensor] = {}
    if images is None or self.clean:
      batch['images'] = own = self._own_images(parts)
      if self.clean:
        batch['clean_images'] = own
      if self.mixup and images is None:
        partners = self._own_images(parts['partners'])
        batch['images'] = mix(own, partners, parts['weights'])
    if images is not None:
      batch['images'] = images
    if self.draws:
      batch['draws'] = _uniform(
        parts['seeds'], self.source.spec.num_classes + 2
      )
    return batch

  def _own_images(self, parts):
    """Reads the images before mixing, uint8 [b, H, W, C]."""
    images, tables = self.source.read(parts['rows']), parts.get('tables', ())
    if self.distortion:
      images = self.distortion.apply(images, tables[1])
    if self.padding or self.flip:
      images = augment(images, tables[0], self.padding)
    return images


def _uniform(seeds: tf.Tensor, count: int) -> tf.Tensor:
  """Returns random numbers float32 [b, count] for seeds int32 [b, 2]."""
  return tf.map_fn(
    lambda seed: tf.random.stateless_uniform([count], seed),
    seeds,
    fn_output_signature=tf.TensorSpec([count], tf.float32),
  )
