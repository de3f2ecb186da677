"""Files of a trained network's predictions for held-out examples.

Each run of a search has an `.npz` file beside it, which is read without pickle:

  log_probs    float32 [N, K], the predictions for the held-out examples
  labels       int32 [N], the labels of the examples
  checkpoint   text: the fingerprint of the weights; older files have the
               SHA-256 of the checkpoint's index
  written      text: the checkpoint's name and time; while these agree, the
               fingerprint need not be computed; older files do not have it

For a run that diverged, all log_probs are NaN, and `checkpoint` says after how
many roll-backs the run was given up, and which loss counted as divergence.
"""

from __future__ import annotations

import io
from collections.abc import Callable

from uncertainty_distill import configs, data, trained
from uncertainty_distill.io import archives, files

import numpy as np
import tensorflow as tf


def write_log_probs(
  path: str,
  model: trained.TrainedModel,
  held_out: data.ImageSource,
  global_batch_size: int,
  strategy: tf.distribute.Strategy,
) -> None:
  """Writes a network's predictions, unless the file has them already.

  Args:
    path: The `.npz` file. A file of other weights or examples is replaced.
    model: A single network.
    held_out: The N examples.
    global_batch_size: Examples in a step over all replicas.
    strategy: The devices.

  Raises:
    InputError: If the network cannot be loaded.
  """
  if are_current(path, held_out, model):
    return
  spec = held_out.spec
  with strategy.scope():
    model.check_fits(spec.image_shape, spec.num_classes)
    ensemble = model.ensemble()

  def log_probs(images):
    (logits,) = tf.unstack(ensemble(images, training=False))
    return tf.nn.log_softmax(tf.cast(logits, tf.float32))

  values = trained.apply(log_probs, held_out, global_batch_size, strategy)
  _write(path, values, held_out, model.fingerprint, model.time_mark)


def are_current(
  path: str, held_out: data.ImageSource, model: trained.TrainedModel
) -> bool:
  """Returns whether a file has a network's predictions for the examples.

  Args:
    path: The `.npz` file, which need not exist.
    held_out: The N examples.
    model: A single network.
  """
  return _is_current(path, held_out, model.has_fingerprint, model.time_mark)


def write_divergence(
  path: str, held_out: data.ImageSource, trainer: configs.TrainerConfig
) -> None:
  """Writes that a run diverged; the arguments are those of `has_diverged`."""
  shape = len(held_out), held_out.spec.num_classes
  values = np.full(shape, np.nan, np.float32)
  _write(path, values, held_out, _given_up(trainer))


def has_diverged(
  path: str, held_out: data.ImageSource, trainer: configs.TrainerConfig
) -> bool:
  """Returns whether a run is known to diverge with the settings of a trainer.

  Args:
    path: The `.npz` file.
    held_out: The N examples.
    trainer: How many roll-backs the run may make, and after which losses.
  """
  return _is_current(path, held_out, _given_up(trainer).__eq__)


def read_log_probs(path: str) -> np.ndarray:
  """Returns the log_probs [N, K] in a file."""
  return archives.read_arrays(path)['log_probs']


def _given_up(trainer):
  return (
    f'none: diverged after {trainer.recovery_max_trials} roll-backs, with a '
    f'loss of at most {trainer.loss_upper_bound:g} from step '
    f'{trainer.recovery_begin_steps} on'
  )


def _write(path, log_probs, held_out, checkpoint, written=''):
  buffer = io.BytesIO()
  np.savez(
    buffer,
    log_probs=log_probs,
    labels=held_out.labels,
    checkpoint=checkpoint,
    written=written,
  )
  files.write_bytes(path, buffer.getvalue())


def _is_current(
  path: str,
  held_out: data.ImageSource,
  is_expected: Callable[[str], bool],
  time_mark: str = '',
) -> bool:
  """Returns whether a file is of these examples, and of these weights."""
  try:
    arrays = archives.read_arrays(path)
    shape = len(held_out), held_out.spec.num_classes
    return bool(
      arrays['log_probs'].shape == shape
      and np.array_equal(arrays['labels'], held_out.labels)
      and (
        (time_mark and str(arrays.get('written')) == time_mark)
        or is_expected(str(arrays['checkpoint']))
      )
    )
  except (OSError, ValueError, KeyError):  # Missing, cut off or another file.
    return False
