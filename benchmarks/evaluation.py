r"""Measures what evaluation costs beyond the models' own forward passes.

It is compared with forward passes of the same models over the same images,
which are in memory already. These forward passes score nothing.

  python benchmarks/evaluation.py --models=4 --width=1 --examples=2000
"""

from __future__ import annotations

import os
from collections.abc import Callable

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

from uncertainty_distill import data, evaluation, models
from uncertainty_distill.data import cifar, corrupted_sets, corruptions

import interleaved_timing
import numpy as np
import tensorflow as tf
from absl import app, flags

_MODELS = flags.DEFINE_integer('models', 4, 'Models to evaluate together.')
_DEPTH = flags.DEFINE_integer('depth', 10, 'Of each Wide ResNet.')
_WIDTH = flags.DEFINE_integer('width', 1, 'Of each Wide ResNet.')
_MEMBERS = flags.DEFINE_integer('members', 4, 'Of each; 1 is a plain network.')
_SIZE = flags.DEFINE_integer('size', 32, 'Side of the images in pixels.')
_EXAMPLES = flags.DEFINE_integer('examples', 2000, 'In each set of images.')
_BATCH = flags.DEFINE_integer('batch', 500, 'Examples in a step.')
_CORRUPTIONS = flags.DEFINE_list(
  'corruptions', ['contrast', 'brightness'], 'Their names, or all.'
)
_ROUNDS = flags.DEFINE_integer('rounds', 7, 'Timed calls of each candidate.')

_FORWARD = 'forward passes'


class _Stored(corrupted_sets.CorruptedSet):
  """Corrupted images that are in memory."""

  def __init__(
    self,
    dataset: data.ImageSource,
    images: dict[corruptions.Shift, np.ndarray],
  ):
    super().__init__(dataset, 'in memory')
    self._images = images

  def _corrupted(self, shift, rows):
    return self._images[shift][rows]


def _dataset() -> data.ArraySource:
  """Returns smooth images, on which every corruption has an effect."""
  rng = np.random.default_rng(0)
  shape = (_EXAMPLES.value, _SIZE.value, _SIZE.value, 3)
  images = np.cumsum(rng.integers(-9, 10, shape), axis=1) + 128
  return data.ArraySource(
    cifar.SPECS['cifar10'],
    np.clip(images, 0, 255).astype(np.uint8),
    rng.integers(0, 10, _EXAMPLES.value).astype(np.int32),
  )


def _models() -> list[evaluation.ScoredModel]:
  return [
    evaluation.ScoredModel(
      f'model {index}',
      index,
      models.batch_ensemble(
        models.WideResNet(depth=_DEPTH.value, width=_WIDTH.value).build(
          [_SIZE.value, _SIZE.value, 3], 10, mean=[0.5], stddev=[0.25]
        ),
        _MEMBERS.value,
      ),
    )
    for index in range(_MODELS.value)
  ]


def _forward(candidates, batches) -> Callable[[], None]:
  """Returns a function that calls every model on every batch."""

  @tf.function(autograph=False)
  def step(images):
    return [c.network(images, training=False) for c in candidates]

  def run():
    for images in batches:
      logits = step(images)
    # Reading once at the end waits for a device that is behind its caller.
    [x.numpy() for x in logits]

  return run


def _candidates() -> dict[str, Callable[[], None]]:
  """Returns the functions to time, by name."""
  dataset, candidates = _dataset(), _models()
  kinds = (
    list(corruptions.Corruption)
    if _CORRUPTIONS.value == ['all']
    else [corruptions.Corruption.parse(name) for name in _CORRUPTIONS.value]
  )
  shifts = [corruptions.CLEAN, *corruptions.shifts(kinds)]
  images = {
    shift: corruptions.corrupt(dataset.images, shift)
    if shift.corruption
    else dataset.images
    for shift in shifts
  }
  batches = [
    tf.constant(array[start : start + _BATCH.value])
    for array in images.values()
    for start in range(0, _EXAMPLES.value, _BATCH.value)
  ]
  evaluator = evaluation.Evaluator(candidates, _BATCH.value)
  return {
    _FORWARD: _forward(candidates, batches),
    'evaluation, images in memory': lambda: evaluator.run(
      dataset, shifts, _Stored(dataset, images)
    ),
    'evaluation, images made on the fly': lambda: evaluator.run(
      dataset, shifts
    ),
  }


def main(argv):
  del argv
  candidates = _candidates()
  times = interleaved_timing.time_interleaved(candidates, _ROUNDS.value)
  interleaved_timing.print_table(
    ['', 'ms', 'ratio'],
    [
      [name, *interleaved_timing.cells(times, name, _FORWARD)]
      for name in candidates
    ],
  )


if __name__ == '__main__':
  app.run(main)
