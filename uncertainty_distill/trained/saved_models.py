"""SavedModels of any origin as ensembles.

A SavedModel is a program, which can read and write files like any other: load
only SavedModels that you trust.

Its signature `serving_default` takes images [B, H, W, C] and nothing else:
uint8, or floats, which are then 0 to 255, too. It returns probabilities or
logits, [B, K] of one member or [B, E, K] of several. Which of the two they are
is said by the output's name, one of `_NAMES`; of a single output with another
name it is found out on some images.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable

from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files

import numpy as np
import tensorflow as tf
import tf_keras

_logger = logging.getLogger(__name__)

# Documented names of outputs, and whether they are of probabilities. Of several
# the first one counts: logits lose nothing where a probability is tiny.
_NAMES = {
  'member_logits': False,
  'member_probabilities': True,
  'logits': False,
  'probabilities': True,
}
# Images to try it on: no likely number of members or classes.
_TRIED = 17
# Beside what export.py writes. It proves nothing; but who wrote a model with
# this package need not be told.
_OUR_CARD = 'assets.extra/MODEL_CARD.md'
# More than rounding to bfloat16 adds to a sum of probabilities.
_TOLERANCE = 1e-2


class ServedModel(tf_keras.Model):
  """A SavedModel as a model: images [B, H, W, C] -> logits [E, B, K].

  Where it returns probabilities, the logits are log-probabilities, which
  softmax takes back to them.

  Attributes:
    image_shape: H, W, C.
    num_classes: K.
    ensemble_size: E.
  """

  def __init__(self, path: str, images: np.ndarray | None = None):
    """Loads a SavedModel and calls it once.

    Args:
      path: Of its folder.
      images: uint8 [N, H, W, C], such as it is made for; some are tried. Where
        there are none, or the signature says another size, a black one is.

    Raises:
      InputError: If it cannot be loaded or does not take the images, or if it
        is not clear that it returns probabilities or logits of them.
    """
    super().__init__()
    # Whoever drops the loaded object drops its variables.
    self._loaded = _load(path)
    self._serve = self._loaded.signatures['serving_default']
    self._argument, self._input = _find_input(self._serve, path)
    images = _fitting(self._input, images, path)[:_TRIED]
    served = self._try(images, path)
    self._output, self._are_probs = _find_output(served, len(images), path)
    values = served[self._output]
    self.image_shape = tuple(images.shape[1:])
    self.num_classes = values.shape[-1]
    self.ensemble_size = values.shape[1] if values.ndim == 3 else 1
    self._say_what_is_assumed(path)

  def call(self, images, training=None):
    del training  # A SavedModel is in inference mode.
    served = self._serve(
      **{self._argument: tf.cast(images, self._input.dtype)}
    )[self._output]
    served = tf.reshape(
      tf.cast(served, tf.float32), [-1, self.ensemble_size, self.num_classes]
    )
    if self._are_probs:
      served = tf.math.log(served + 1e-30)  # Finite for a probability of 0.
    return tf.transpose(served, [1, 0, 2])

  def _say_what_is_assumed(self, path: str) -> None:
    """Says what neither a type nor a name in the signature has said."""
    if self._input.dtype.is_floating:
      _say(
        f'{path}: its input {self._argument}, {self._input.dtype.name}, is '
        'given images of 0 to 255'
      )
    if self._output not in _NAMES:
      kind = 'probabilities' if self._are_probs else 'logits'
      _say(f'{path}: its output {self._output} is taken for {kind}')

  def _try(self, images: np.ndarray, path: str) -> dict[str, np.ndarray]:
    """Returns what is served for some images: its floats, as float64."""
    strategy = tf.distribute.get_strategy()

    @tf.function(autograph=False)
    def serve():
      batch = tf.cast(images, self._input.dtype)
      return strategy.run(self._serve, kwargs={self._argument: batch})

    try:
      served = {
        name: strategy.experimental_local_results(value)[0].numpy()
        for name, value in serve().items()
      }
    except (TypeError, ValueError, tf.errors.OpError) as error:
      raise InputError(
        'SavedModel',
        path,
        f'a model of images {list(images.shape[1:])}',
        _first_line(error),
      ) from error
    outputs = self._serve.structured_outputs
    return {
      name: value.astype(np.float64)
      for name, value in served.items()
      if outputs[name].dtype.is_floating
    }


def _load(path: str) -> tf.Module:
  """Loads a SavedModel that has the signature `serving_default`."""
  if not files.is_file(f'{path}/{_OUR_CARD}'):
    _say(
      f'{path}: a SavedModel is a program, which may read and write files: '
      'load only those that you trust'
    )
  try:
    loaded = tf.saved_model.load(path)
  except (OSError, ValueError, tf.errors.OpError) as error:
    raise InputError(
      'SavedModel',
      path,
      'one that can be loaded',
      f'write it again ({_first_line(error)})',
    ) from error
  if 'serving_default' not in loaded.signatures:
    raise InputError(
      'SavedModel',
      path,
      'one with the signature serving_default',
      f'this one has {", ".join(sorted(loaded.signatures)) or "none"}',
    )
  return loaded


def _find_input(
  serve: Callable[..., dict[str, tf.Tensor]], path: str
) -> tuple[str, tf.TensorSpec]:
  """Returns the name of the images in a signature, and what they are."""
  _, inputs = serve.structured_input_signature
  specs = list(inputs.values())
  if len(specs) == 1 and specs[0].shape.rank in (None, 4):
    if specs[0].dtype == tf.uint8 or specs[0].dtype.is_floating:
      return next(iter(inputs.items()))
  found = ', '.join(f'{spec.dtype.name} {spec.shape}' for spec in specs)
  raise InputError(
    'SavedModel',
    path,
    'one whose serving_default takes images '
    '[B, H, W, C] of uint8 or floats, and nothing else',
    f'this one takes {found or "nothing"}',
  )


def _fitting(
  spec: tf.TensorSpec, images: np.ndarray | None, path: str
) -> np.ndarray:
  """Returns the images, or a black one of the signature's size."""
  batch, *sides = spec.shape.with_rank(4).as_list()
  if batch is not None:
    raise InputError(
      'SavedModel',
      path,
      'one that takes any number of images',
      f'this one takes {batch} at a time',
    )
  if images is not None and all(
    side in (None, size) for side, size in zip(sides, images.shape[1:])
  ):
    return images
  if None in sides:
    wanted = 'known' if images is None else str(list(images.shape[1:]))
    raise InputError(
      'SavedModel',
      path,
      f'a model of images whose size is {wanted}',
      f'this one takes {sides}',
    )
  return np.zeros([1, *sides], np.uint8)


def _find_output(
  served: dict[str, np.ndarray], batch: int, path: str
) -> tuple[str, bool]:
  """Returns an output's name, and whether it is one of probabilities."""
  names = [name for name in _NAMES if name in served] or list(served)
  if not names or (names[0] not in _NAMES and len(names) > 1):
    raise InputError(
      'SavedModel',
      path,
      'one whose serving_default returns '
      f'{", ".join(_NAMES)}, or a single output of floats',
      f'this one returns {", ".join(sorted(served)) or "no floats"}',
    )
  name = names[0]
  values = served[name]
  wanted = f'{name} as [B, K] or [B, E, K], finite'
  if values.ndim not in (2, 3) or len(values) != batch:
    raise InputError(
      'SavedModel',
      path,
      wanted,
      f'for {batch} images it returns {list(values.shape)}',
    )
  if not np.isfinite(values).all():
    raise InputError('SavedModel', path, wanted, 'it returns infinity or NaN')
  are_probs = bool(
    (values >= 0).all() and (abs(values.sum(-1) - 1) < _TOLERANCE).all()
  )
  if _NAMES.get(name, are_probs) != are_probs:
    raise InputError(
      'SavedModel',
      path,
      f'{name}',
      'what it returns under this name are '
      f'{"" if are_probs else "no "}probabilities that sum to 1',
    )
  within = 0 <= values.min() and values.max() <= 1
  if name not in _NAMES and within and not are_probs:
    # Sigmoids, perhaps, whose softmax would be something else.
    raise InputError(
      'SavedModel',
      path,
      'probabilities that sum to 1, or logits',
      f'its {name} is between 0 and 1; if they are logits, name them logits',
    )
  return name, are_probs


def _first_line(error: Exception) -> str:
  lines = str(error).strip().splitlines() or [type(error).__name__]
  return lines[0][:200]


@functools.cache
def _say(line: str) -> None:
  """Prints a line, the first time that it is called for."""
  _logger.warning(line)
