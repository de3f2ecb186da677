r"""Measures the latency of a BatchEnsemble and the deep ensemble it replaces.

All are functions of a batch of any size, as a SavedModel serves them. The deep
ensemble is measured twice: as four networks that are called one after the
other, and as one graph, which can run two of these networks at a time.

  python benchmarks/latency.py --networks=10-1,16-4
"""

from __future__ import annotations

import os
from collections.abc import Callable

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

from uncertainty_distill import models

import interleaved_timing
import tensorflow as tf
import tf_keras
from absl import app, flags

_NETWORKS = flags.DEFINE_list(
  'networks', ['10-1', '16-4'], 'Depth and width of each.'
)
_MEMBERS = flags.DEFINE_integer('members', 4, 'Of each ensemble.')
_BATCHES = flags.DEFINE_list('batches', ['1', '8', '128'], 'Images at a time.')
_PIXELS = flags.DEFINE_integer('pixels', 32, 'Height and width of the images.')
_ONE_NETWORK = flags.DEFINE_bool(
  'one_network', False, 'Whether to time one network by itself as well.'
)
_SECONDS = flags.DEFINE_float(
  'seconds', 10.0, 'About how long the rows of a batch are timed, together.'
)

_SEPARATE = 'deep ensemble, one network after the other'
_DEEP = 'deep ensemble, one graph'
_BATCH_ENSEMBLE = 'BatchEnsemble'
_SINGLE = 'one network'


def _image_shape() -> list[int]:
  return [_PIXELS.value, _PIXELS.value, 3]


def _build(depth: int, width: int, members: int) -> tf_keras.Model:
  network = models.WideResNet(depth=depth, width=width)
  return models.batch_ensemble(
    network.build(_image_shape(), 10, mean=[0.5], stddev=[0.25]), members
  )


def _served(model: tf_keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns a compiled function from a batch of any size to probabilities."""

  @tf.function(
    input_signature=[tf.TensorSpec([None, *_image_shape()], tf.uint8)],
    autograph=False,
  )
  def probs(images):
    return tf.reduce_mean(tf.nn.softmax(model(images, training=False)), 0)

  return probs


def _megabytes(*models: tf_keras.Model) -> float:
  """Returns the megabytes of all weights, which are float32."""
  return sum(v.shape.num_elements() for m in models for v in m.weights) * 4e-6


def _measure(
  functions: dict[str, Callable[[tf.Tensor], tf.Tensor]], batch: int
) -> interleaved_timing.Times:
  """Times answers to one batch for about as long as --seconds says."""
  images = tf.zeros([batch, *_image_shape()], tf.uint8)
  candidates = {
    name: lambda f=function: f(images).numpy()
    for name, function in functions.items()
  }
  one = interleaved_timing.time_interleaved(candidates, 3)
  seconds = sum(min(times) for times in one.values())
  return interleaved_timing.time_interleaved(
    candidates, max(5, int(_SECONDS.value / seconds))
  )


def _functions(students, singles):
  """Returns the functions to time, with the members apart and together."""
  parts = [_served(single) for single in singles]
  functions = {
    _SEPARATE: lambda images: (
      tf.add_n([part(images) for part in parts]) / len(parts)
    ),
    _DEEP: _served(models.DeepEnsemble(singles)),
    _BATCH_ENSEMBLE: _served(students),
  }
  if _ONE_NETWORK.value:
    functions[_SINGLE] = parts[0]
  return functions


def main(argv):
  del argv
  tf.get_logger().setLevel('ERROR')  # Hides warnings of retracing.
  latencies, memory = [], []
  for network in _NETWORKS.value:
    depth, width = map(int, network.split('-'))
    students = _build(depth, width, _MEMBERS.value)
    singles = [_build(depth, width, 1) for _ in range(_MEMBERS.value)]
    functions = _functions(students, singles)
    for batch in map(int, _BATCHES.value):
      times = _measure(functions, batch)
      for name in functions:
        rate = batch / sorted(times[name])[len(times[name]) // 2]
        latencies.append(
          [
            f'WRN-{network}',
            str(batch),
            name,
            *interleaved_timing.cells(times, name, _SEPARATE),
            f'{rate:.0f}',
          ]
        )
    small, large = _megabytes(students), _megabytes(*singles)
    memory.append(
      [f'WRN-{network}', f'{large:.2f}', f'{small:.2f}', f'{small / large:.3f}']
    )
  ensemble = f'ensemble of {_MEMBERS.value}'
  interleaved_timing.print_table(
    ['Network', 'images', ensemble, 'ms', 'ratio', 'images/s'], latencies
  )
  print()
  interleaved_timing.print_table(
    ['Network', 'deep ensemble, MB of weights', 'BatchEnsemble, MB', 'ratio'],
    memory,
  )


if __name__ == '__main__':
  app.run(main)
