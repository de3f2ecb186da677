"""The FLOPs of training, and how fast these devices perform them."""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
import math
import time

from uncertainty_distill import configs, data, models, training

import tensorflow as tf
import tf_keras

# The arithmetic of a training step in forward passes; the backward pass is two.
TRAINING_PASSES = 3
# One measured step keeps the cores busy, and is over in a second or two.
_MEASURED_FLOPS = 1e11


@dataclasses.dataclass(frozen=True)
class Speed:
  """How fast these devices are.

  Attributes:
    flops_per_second: The FLOP/s of a training step.
    startup: The seconds that a run takes until its first step.
  """

  flops_per_second: float
  startup: float

  def seconds(self, flops: float, runs: int = 0) -> float:
    """Returns how long some FLOPs take, with the startup of new runs."""
    return flops / self.flops_per_second + self.startup * runs


def measure_speed(
  config: configs.ExperimentConfig, strategy: tf.distribute.Strategy
) -> Speed:
  """Measures a few training steps of an experiment's network.

  Args:
    config: The experiment, not resolved.
    strategy: The devices.
  """
  config = training.resolve(config)
  of_image = TRAINING_PASSES * image_flops(config)
  batch = config.task.train_data.global_batch_size
  images = max(1, min(batch, int(_MEASURED_FLOPS / of_image)))
  dtype = config.runtime.mixed_precision_dtype or 'float32'
  policy = dtype if dtype == 'float32' else f'mixed_{dtype}'
  tf_keras.mixed_precision.set_global_policy(policy)
  try:
    with strategy.scope():
      model = config.task.model.build()
  finally:
    tf_keras.mixed_precision.set_global_policy('float32')

  @tf.function(autograph=False)
  def step():
    def of_replica():
      batch = tf.zeros([images, *config.task.model.image_shape], tf.uint8)
      with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(batch, training=True) ** 2)
      gradients = tape.gradient(loss, model.trainable_variables)
      # The sum uses all gradients: TensorFlow would leave out unused ones.
      return tf.add_n([tf.reduce_sum(gradient) for gradient in gradients])  # pyright: ignore[reportArgumentType]

    return strategy.run(of_replica)

  start = time.perf_counter()
  step()
  startup = time.perf_counter() - start
  seconds = math.inf
  for _ in range(3):
    start = time.perf_counter()
    result = strategy.experimental_local_results(step())
    result[0].numpy()
    seconds = min(seconds, time.perf_counter() - start)
  replicas = strategy.num_replicas_in_sync
  return Speed(replicas * images * of_image / seconds, startup)


def image_flops(config: configs.ExperimentConfig) -> int:
  """Returns the FLOPs of one image through all members of a network."""
  member = copy.deepcopy(config.task.model)
  member.ensemble_size = 1
  if not member.image_shape:  # A run has it, and may have lost its dataset.
    spec = data.open_configured(config.task.train_data).spec
    member.image_shape, member.num_classes = spec.image_shape, spec.num_classes
    member.mean, member.stddev = spec.mean, spec.stddev
  members = config.task.model.ensemble_size
  if config.task.model.ensemble_type == 'hydra':
    members = 1  # The further heads are small.
  return members * _flops(json.dumps(member.as_dict()))


@functools.cache
def _flops(model: str) -> int:
  """Returns the FLOPs of one image through a network, given as JSON."""
  with models.without_initial_values():
    network = configs.ModelConfig(json.loads(model)).build()
  return models.forward_flops(network)
