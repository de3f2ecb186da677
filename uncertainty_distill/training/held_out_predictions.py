"""What a trained network says of held-out examples, kept in a file.

An `.npz` file beside each run of a search, read without pickle:

  log_probs    float32 [N, K], of the held-out examples as they are, in
               inference mode
  labels       int32 [N], theirs
  checkpoint   text: the SHA-256 of the index of the checkpoint that was scored,
               which holds the checksums of its weights

Of a run that diverged all log_probs are NaN, and the text says after how many
roll-backs it was given up.
"""

from __future__ import annotations

import functools
import hashlib
import io

from uncertainty_distill import data, runs, trained
from uncertainty_distill.io import archives, files

import numpy as np
import tensorflow as tf


def score(
  run: runs.RunFolder,
  held_out: data.ImageSource,
  path: str,
  global_batch_size: int,
  strategy: tf.distribute.Strategy,
) -> None:
  """Writes what a run says of held-out examples, if the file is not there.

  Args:
    run: A single network that was trained to its end.
    held_out: N examples.
    path: Of the `.npz` file; one of other weights or examples is replaced.
    global_batch_size: Examples in a step over all replicas.
    strategy: The devices.

  Raises:
    InputError: If the run's checkpoint cannot be read.
  """
  checkpoint = _checkpoint_digest(run)
  if _is_whole(path, held_out, checkpoint):
    return
  log_probs = _log_probs(run, held_out, global_batch_size, strategy)
  _write(path, log_probs, held_out, checkpoint)


def note_divergence(
  held_out: data.ImageSource, path: str, rollbacks: int
) -> None:
  """Writes that a run diverged; the arguments are as for `has_diverged`."""
  shape = len(held_out), held_out.spec.num_classes
  nothing = np.full(shape, np.nan, np.float32)
  _write(path, nothing, held_out, _given_up(rollbacks))


def has_diverged(held_out: data.ImageSource, path: str, rollbacks: int) -> bool:
  """Tells whether a run is known to diverge.

  Args:
    held_out: N examples.
    path: Of the `.npz` file.
    rollbacks: How many it may make.
  """
  return _is_whole(path, held_out, _given_up(rollbacks))


def _given_up(rollbacks):
  return f'none: diverged after {rollbacks} roll-backs'


def _write(path, log_probs, held_out, checkpoint):
  buffer = io.BytesIO()
  np.savez(
    buffer, log_probs=log_probs, labels=held_out.labels, checkpoint=checkpoint
  )
  files.write_bytes(path, buffer.getvalue())


def read_log_probs(path: str) -> np.ndarray:
  """Returns the log_probs [N, K] of a file that `score` has written."""
  return archives.read_arrays(path)['log_probs']


def _is_whole(path, held_out, checkpoint):
  """Tells whether a file is there, of these weights and these examples."""
  try:
    arrays = archives.read_arrays(path)
    shape = len(held_out), held_out.spec.num_classes
    return (
      arrays['log_probs'].shape == shape
      and np.array_equal(arrays['labels'], held_out.labels)
      and str(arrays['checkpoint']) == checkpoint
    )
  except (OSError, ValueError, KeyError):  # It is cut, missing or another's.
    return False


def _checkpoint_digest(run):
  index = files.read_bytes(f'{run.checkpoint}.index')
  return hashlib.sha256(index).hexdigest()


def _log_probs(run, held_out, global_batch_size, strategy):
  """Returns float32 [N, K], whatever the replicas."""
  with strategy.scope():
    ensemble = trained.load_ensemble(
      [run.path],
      'path',
      held_out.spec.image_shape,
      held_out.spec.num_classes,
    )

  # TensorFlow warns of one function that is traced often, as for each run; a
  # partial one is each time another.
  step = tf.function(
    functools.partial(_step, ensemble.model, strategy), autograph=False
  )
  batches = strategy.distribute_datasets_from_function(
    lambda context: data.evaluation_batches(
      held_out, global_batch_size, context
    )
  )
  parts = [step(batch).numpy() for batch in batches]
  return np.concatenate(parts)[: len(held_out)]


def _step(model, strategy, batch):
  """Returns the log_probs of a batch, those of the replicas in order."""

  def replica_step(batch):
    (logits,) = tf.unstack(model(batch['images'], training=False))
    return tf.nn.log_softmax(tf.cast(logits, tf.float32))

  parts = strategy.run(replica_step, args=(batch,))
  return tf.concat(strategy.experimental_local_results(parts), axis=0)
