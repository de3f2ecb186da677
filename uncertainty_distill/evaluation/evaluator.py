"""Scores every model on every set of images with one compiled step."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence

from uncertainty_distill import metrics
from uncertainty_distill.data import ImageSource, corrupted_sets, corruptions
from uncertainty_distill.distribution import workers
from uncertainty_distill.evaluation import image_sets, prediction_scores
from uncertainty_distill.evaluation.results import Result
from uncertainty_distill.metrics import ranking
from uncertainty_distill.runtime import progress

import numpy as np
import tensorflow as tf
import tf_keras

_ROWS = ('confidence', 'correct', 'entropy', 'mutual_information', 'mask')
_Sums = dict[str, np.ndarray]
_Scores = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class ScoredModel:
  """A model to evaluate.

  Attributes:
    label: The model's name in results, such as `deep_ensemble`.
    seed: The seed of its training, or None.
    network: The network, from uint8 images [B, H, W, C] to logits [E, B, K].
    temperature: The temperature that was fitted to the model, or None.
    scaled: Whether to score the model at that temperature.
    prediction_sets: The rule of its prediction sets; None if it has none.
  """

  label: str
  seed: int | None
  network: tf_keras.Model
  temperature: float | None = None
  scaled: bool = False
  prediction_sets: metrics.PredictionSets | None = None


def count_parameters(model: tf_keras.Model) -> int:
  """Returns the number of trainable weights; 0 for a SavedModel."""
  return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


class Evaluator:
  """Scores models on any number of sets of images with one compiled step.

  Attributes:
    entropies: Each model's predictive entropy of the clean images that were
      scored last, [N], in nats.
  """

  def __init__(
    self,
    models: Sequence[ScoredModel],
    global_batch_size: int,
    strategy: tf.distribute.Strategy | None = None,
  ):
    """Creates an evaluator whose models all score the images of every step.

    Args:
      models: The models, made under the strategy's scope.
      global_batch_size: Examples in a step over all replicas.
      strategy: The devices that the models were made on.
    """
    self._strategy = strategy or tf.distribute.get_strategy()
    self._models = list(models)
    self._global_batch_size = global_batch_size
    self.entropies: list[np.ndarray] = []
    self.step = tf.function(self._score, autograph=False)

  def run(
    self,
    test_set: ImageSource,
    shifts: Sequence[corruptions.Shift],
    corrupted_set: corrupted_sets.CorruptedSet | None = None,
    out_of_distribution: ImageSource | None = None,
    num_corrupted: int = 0,
  ) -> list[Result]:
    """Scores every example once under each shift.

    Images are made or read while the devices score earlier ones.

    Args:
      test_set: The test examples. Their images are unchanged under `CLEAN`.
      shifts: The corruptions.
      corrupted_set: The corrupted images. By default they are made from the
        test examples, with seed 0.
      out_of_distribution: Images of the same shape that belong to none of the
        test set's classes. Their labels are ignored. With them, the clean
        results also have `ranking.ood_metrics`.
      num_corrupted: How many examples, from the first on, are scored under
        shifts other than `CLEAN`; 0 for all.

    Returns:
      The results, shift by shift. For each shift, they are in the order of the
      models.

    Raises:
      InputError: If the batch size is not a positive multiple of the number of
        replicas.
    """
    corrupted_set = corrupted_set or corrupted_sets.FormulaSet(test_set)
    corrupted = test_set.take(num_corrupted)
    sets = [
      image_sets.under_shift(
        test_set if shift == corruptions.CLEAN else corrupted,
        corrupted_set,
        shift,
      )
      for shift in shifts
    ]
    if out_of_distribution is not None:
      sets.insert(0, image_sets.out_of_distribution(out_of_distribution))
    scored = self._scored(sets)
    ood_scores = next(scored)[1] if out_of_distribution is not None else None
    results = []
    for shift, (sums, scores) in zip(shifts, scored, strict=True):
      images, of_clean = corrupted_set.description, [{} for _ in scores]
      if shift == corruptions.CLEAN:
        self.entropies = [of_model['entropy'] for of_model in scores]
        images, of_clean = '', self._of_clean(scores, ood_scores)
      for model, of_model, of_examples, further in zip(
        self._models, sums, scores, of_clean, strict=True
      ):
        results.append(
          prediction_scores.make_result(
            model.label,
            model.seed,
            shift,
            of_model,
            of_examples,
            images,
            further,
          )
        )
    return results

  def _of_clean(
    self, scores: list[_Scores], ood_scores: list[_Scores] | None
  ) -> list[dict[str, float]]:
    """Returns each model's additional metrics on clean images.

    Args:
      scores: The models' scores of clean images.
      ood_scores: The models' scores of out-of-distribution images, if any.
    """
    found = [
      {'temperature': model.temperature} if model.temperature else {}
      for model in self._models
    ]
    for metrics_of, clean, other in zip(found, scores, ood_scores or ()):
      metrics_of |= ranking.ood_metrics(clean, other)
    return found

  def _scored(
    self,
    sets: Sequence[image_sets.ImageSet],
  ) -> Iterator[tuple[list[_Sums], list[_Scores]]]:
    """Yields for each set every model's sums and its scores of the examples."""
    total = sum(map(len, sets))
    with (
      progress.progress_bar(
        total, 'evaluating', 'image', shown=workers.is_chief(self._strategy)
      ) as bar,
      contextlib.closing(
        image_sets.distributed_batches(  # pyright: ignore[reportArgumentType]
          sets, self._global_batch_size, self._strategy
        )
      ) as batches,
    ):
      for images in sets:
        bar.set_postfix_str(images.label, refresh=False)
        sums, scores = [], []
        for step in range(images.steps(self._global_batch_size)):
          of_batch, of_examples = self.step(next(batches))
          # Read only when the set is done, since reading waits for the device.
          sums.append(of_batch)
          scores.append(of_examples)
          bar.update(
            min(
              self._global_batch_size,
              len(images) - step * self._global_batch_size,
            )
          )
        yield (
          tf.nest.map_structure(_total, *sums),
          [_masked(of_model) for of_model in np.concatenate(scores, axis=-1)],
        )

  def _score(self, batch) -> tuple[list[dict[str, tf.Tensor]], tf.Tensor]:
    """Returns each model's sums by name, and scores [models, 5, B]."""
    like = []  # The sums of one replica, for their names and shapes.

    def score_replica(batch):
      like[:], scores = self._score_replica(batch)
      flat = [tf.reshape(value, [-1]) for value in tf.nest.flatten(like)]
      return tf.concat(flat, axis=0), scores

    vector, scores = self._strategy.run(score_replica, args=(batch,))
    # All sums are sent between the devices in one message.
    vector = self._strategy.reduce(
      tf.distribute.ReduceOp.SUM, vector, axis=None
    )
    shapes = [value.shape for value in tf.nest.flatten(like)]
    parts = tf.split(vector, [shape.num_elements() for shape in shapes])
    sums = tf.nest.pack_sequence_as(like, list(map(tf.reshape, parts, shapes)))
    if workers.count(self._strategy) > 1:
      return sums, self._strategy.gather(scores, axis=2)
    parts = self._strategy.experimental_local_results(scores)
    return sums, tf.concat(parts, axis=2)

  def _score_replica(self, batch):
    """Returns each model's sums and scores of one replica's examples."""
    statistics, scores = [], []
    # A model that is scored with and without its temperature runs only once.
    networks = {id(c.network): c.network for c in self._models}
    outputs = {
      key: network(batch['images'], training=False)
      for key, network in networks.items()
    }
    of_batch = batch['labels'], batch['mask']
    for model in self._models:
      logits = outputs[id(model.network)]
      sums = metrics.sufficient_statistics(logits, *of_batch)
      if model.temperature:
        scaled = logits / model.temperature
        of_scaled = metrics.sufficient_statistics(scaled, *of_batch)
        if model.scaled:
          logits, sums = scaled, of_scaled
        sums['scaled_nll'] = of_scaled['nll']
      weights = tf.cast(batch['mask'], tf.float32)
      probs = metrics.mean_probs(logits)
      sums['class_gaps'] = metrics.class_gaps(probs, batch['labels'], weights)
      if model.prediction_sets:
        contains = model.prediction_sets.contains(probs)
        sums |= metrics.set_statistics(contains, batch['labels'], weights)
      statistics.append(sums)
      of_examples = metrics.example_scores(logits, batch['labels'])
      of_examples['mask'] = tf.cast(batch['mask'], tf.float32)
      scores.append(tf.stack([of_examples[name] for name in _ROWS]))
    return statistics, tf.stack(scores)


def _total(*batches: tf.Tensor) -> np.ndarray:
  """Returns the sum over a set's batches, which are all read at once."""
  return np.sum(tf.stack(batches).numpy(), axis=0, dtype=np.float64)  # pyright: ignore[reportReturnType]


def _masked(rows: np.ndarray) -> _Scores:
  """Returns one model's scores by name, with the padding left out."""
  scores = dict(zip(_ROWS, rows))
  inside = scores.pop('mask') > 0
  return {name: values[inside] for name, values in scores.items()}
