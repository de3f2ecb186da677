"""One compiled step scores every model on every test set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import dataclasses
import math

import numpy as np
import tensorflow as tf
import tf_keras
from uncertainty_distill import metrics
from uncertainty_distill import progress
from uncertainty_distill.data import corruptions
from uncertainty_distill.data import ImageDataset
from uncertainty_distill.errors import InputError
from uncertainty_distill.evaluation.results import Result

_BINS = ('bin_count', 'bin_confidence', 'bin_correct')


@dataclasses.dataclass(frozen=True, eq=False)
class Candidate:
  """A model to evaluate.

  Attributes:
    label: What the model is, such as `deep_ensemble`.
    seed: That of its training, or None.
    model: Takes uint8 images [B, H, W, C] and returns logits [E, B, K].
  """

  label: str
  seed: int | None
  model: tf_keras.Model


def count_parameters(model: tf_keras.Model) -> int:
  """Returns the number of trainable weights; 0 for a SavedModel."""
  return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def evaluate(
    candidates: Sequence[Candidate],
    dataset: ImageDataset,
    shifts: Sequence[corruptions.Shift],
    global_batch_size: int,
    strategy: tf.distribute.Strategy | None = None,
    seed: int = 0,
) -> list[Result]:
  """Scores models on a test set under shifts, every example once under each.

  The models share the corrupted images, which are made while the devices are
  busy with those before.

  Args:
    candidates: The models.
    dataset: The test examples.
    shifts: The corruptions; `corruptions.CLEAN` for the images as they are.
    global_batch_size: Examples in a step over all replicas.
    strategy: The devices that the models were made on.
    seed: Of the corruptions' noise.

  Returns:
    The results, shift by shift, in each the models in their order.

  Raises:
    InputError: If the replicas do not divide the batch.
  """
  strategy = strategy or tf.distribute.get_strategy()
  if global_batch_size % strategy.num_replicas_in_sync:
    raise InputError(
        'global_batch_size', global_batch_size,
        f'a multiple of the {strategy.num_replicas_in_sync} replicas',
    )
  step = _make_step(candidates, strategy)
  batches = iter(_batches(dataset, shifts, global_batch_size, strategy, seed))
  steps = math.ceil(len(dataset.labels) / global_batch_size)
  results = []
  with progress.progress_bar(
      len(shifts) * len(dataset.labels), 'evaluating', 'image'
  ) as bar:
    for shift in shifts:
      # The sums start anew for each set, so nothing leaks from one to the next.
      sums = None
      for _ in range(steps):
        statistics = tf.nest.map_structure(
            lambda x: x.numpy().astype(np.float64), step(next(batches))
        )
        sums = statistics if sums is None else tf.nest.map_structure(
            np.add, sums, statistics
        )
        done = int(statistics[0]['count'])
        bar.set_postfix_str(shift.label, refresh=False)
        bar.update(done)
      results += [
          _result(candidate, shift, its_sums)
          for candidate, its_sums in zip(candidates, sums)
      ]
  return results


def _make_step(candidates, strategy):
  """Returns a function from a batch to every model's statistics."""

  def score(batch):
    return [
        metrics.sufficient_statistics(
            candidate.model(batch['images'], training=False),
            batch['labels'],
            batch['mask'],
        )
        for candidate in candidates
    ]

  @tf.function(autograph=False)
  def step(batch):
    statistics = strategy.run(score, args=(batch,))
    return tf.nest.map_structure(
        lambda x: strategy.reduce(tf.distribute.ReduceOp.SUM, x, axis=None),
        statistics,
    )

  return step


def _batches(dataset, shifts, global_batch_size, strategy, seed):
  """Returns distributed batches of all sets in order, of one shape."""

  def generate() -> Iterator[dict[str, np.ndarray]]:
    for shift in shifts:
      for start in range(0, len(dataset.labels), global_batch_size):
        labels = dataset.labels[start : start + global_batch_size]
        images = corruptions.corrupt(
            dataset.images[start : start + global_batch_size],
            shift,
            seed,
            np.arange(start, start + len(labels)),
        )
        padding = global_batch_size - len(labels)
        yield {
            'images': np.pad(images, [(0, padding)] + [(0, 0)] * 3),
            'labels': np.pad(labels, (0, padding)),
            'mask': np.arange(global_batch_size) < len(labels),
        }

  batch = [global_batch_size]
  batches = tf.data.Dataset.from_generator(
      generate,
      output_signature={
          'images': tf.TensorSpec(batch + [*dataset.images.shape[1:]], tf.uint8),
          'labels': tf.TensorSpec(batch, tf.int32),
          'mask': tf.TensorSpec(batch, tf.bool),
      },
  ).prefetch(4)
  options = tf.data.Options()
  options.experimental_distribute.auto_shard_policy = (
      tf.data.experimental.AutoShardPolicy.OFF
  )
  return strategy.experimental_distribute_dataset(batches.with_options(options))


def _result(candidate: Candidate, shift, sums) -> Result:
  """Turns one model's sums over one set into its record."""
  return Result(
      model=candidate.label,
      seed=candidate.seed,
      shift=shift,
      num_examples=int(sums['count']),
      figures={k: float(v) for k, v in metrics.figures(sums).items()},
      **{name: tuple(sums[name].tolist()) for name in _BINS},
  )
