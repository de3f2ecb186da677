"""SavedModels of any origin as ensembles.

A SavedModel is a program, which can read and write files like any other
program: load only SavedModels that you trust.

Its signature `serving_default` takes images [B, H, W, C] and nothing else:
uint8, or floats from 0 to 255. It returns probabilities or logits, [B, K] of
one member or [B, E, K] of several. The name of the output, one of `_NAMES`,
says whether it holds probabilities or logits. A single output with another name
is tried on some images to find out.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable

from uncertainty_distill import metrics
from uncertainty_distill.errors import InputError, first_line
from uncertainty_distill.io import files

import numpy as np
import tensorflow as tf
import tf_keras

_logger = logging.getLogger(__name__)

# Documented names of outputs, and whether they name probabilities. If there are
# several outputs, the first of these counts. Logits come before probabilities,
# since they lose nothing where a probability is tiny.
_NAMES = {
  'member_logits': False,
  'member_probabilities': True,
  'logits': False,
  'probabilities': True,
}
# The number of images to try a SavedModel on, which is not likely to be the
# number of members or classes.
_NUM_TRIAL_IMAGES = 17
GRAPH_FILE = 'saved_model.pb'
# One class name per line, in the order of the labels, if this package wrote the
# SavedModel.
CLASS_NAMES_FILE = 'assets.extra/class_names.txt'
# How pictures get the model's size, if they are not just resized.
IMAGE_FIT_FILE = 'assets.extra/image_fit.txt'
# The rule of the model's prediction sets, as JSON, if it has one.
SETS_FILE = 'assets.extra/prediction_sets.json'
# Written for run folders.
CARD_FILE = 'assets.extra/MODEL_CARD.md'
# More than rounding to bfloat16 changes a sum of probabilities.
_TOLERANCE = 1e-2

# Builds an InputError from what the SavedModel must be, and a hint.
_Refuse = Callable[..., InputError]


def is_saved_model(path: str) -> bool:
  """Returns whether a folder is a SavedModel."""
  return files.is_file(os.path.join(path, GRAPH_FILE))


class ServedModel(tf_keras.Model):
  """A SavedModel as a model: images [B, H, W, C] -> logits [E, B, K].

  If the SavedModel returns probabilities, the logits are log-probabilities,
  which softmax turns back into the probabilities.

  Attributes:
    image_shape: H, W, C.
    num_classes: K.
    ensemble_size: E.
    takes_floats: Whether the signature's images are floats.
  """

  def __init__(
    self, path: str, images: np.ndarray | None = None, parameter: str = 'path'
  ):
    """Loads a SavedModel and calls it once.

    Args:
      path: The folder of the SavedModel.
      images: Images that the model is made for, uint8 [N, H, W, C]. The model
        is tried on some of them. Without images, or if the signature has
        another size, the model is tried on a black image.
      parameter: The parameter that gave the path, for error messages.

    Raises:
      InputError: If the SavedModel cannot be loaded or does not take the
        images, or if it is unclear whether it returns probabilities or logits.
    """
    super().__init__()
    refuse = functools.partial(InputError, parameter, path)
    # The variables live only as long as the loaded object.
    self._loaded = _load(path, refuse)
    self._serve = self._loaded.signatures['serving_default']  # pyright: ignore[reportAttributeAccessIssue]
    self._argument, self._input = _find_input(self._serve, refuse)
    self.takes_floats: bool = self._input.dtype.is_floating
    images = _fitting(self._input, images, refuse)[:_NUM_TRIAL_IMAGES]
    served = self._try(images, refuse)
    self._output, self._are_probs = _find_output(served, len(images), refuse)
    values = served[self._output]
    self.image_shape: tuple[int, ...] = tuple(images.shape[1:])
    self.num_classes: int = values.shape[-1]
    self.ensemble_size = values.shape[1] if values.ndim == 3 else 1
    self._warn_of_assumptions(path)

  def call(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
    del training  # A SavedModel is in inference mode.
    served = self._serve(
      **{self._argument: tf.cast(images, self._input.dtype)}
    )[self._output]
    served = tf.reshape(
      tf.cast(served, tf.float32), [-1, self.ensemble_size, self.num_classes]
    )
    if self._are_probs:
      served = metrics.finite_log(served)
    return tf.transpose(served, [1, 0, 2])  # pyright: ignore[reportArgumentType]

  def _warn_of_assumptions(self, path: str) -> None:
    """Warns of what was assumed, since the signature does not say it."""
    if self.takes_floats:
      _warn(
        f'{path}: its input {self._argument}, {self._input.dtype.name}, is '
        'assumed to take images of 0 to 255'
      )
    if self._output not in _NAMES:
      kind = 'probabilities' if self._are_probs else 'logits'
      _warn(f'{path}: its output {self._output} is assumed to be {kind}')

  def _try(self, images: np.ndarray, refuse: _Refuse) -> dict[str, np.ndarray]:
    """Returns the float outputs for some images, as float64."""
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
      raise refuse(
        f'a SavedModel that takes images {list(images.shape[1:])}',
        first_line(error),
      ) from error
    outputs = self._serve.structured_outputs
    return {
      name: value.astype(np.float64)
      for name, value in served.items()
      if outputs[name].dtype.is_floating
    }


def _load(path: str, refuse: _Refuse) -> tf.Module:
  """Loads a SavedModel that has the signature `serving_default`."""
  # This package writes the file. It proves nothing, but users who exported the
  # model themselves need no warning.
  if not files.is_file(f'{path}/{CLASS_NAMES_FILE}'):
    _warn(
      f'{path}: a SavedModel is a program, which may read and write files: '
      'load only SavedModels that you trust'
    )
  try:
    loaded = tf.saved_model.load(path)
  except (OSError, ValueError, tf.errors.OpError) as error:
    raise refuse(
      'a SavedModel that can be loaded',
      f'export it again ({first_line(error)})',
    ) from error
  if 'serving_default' not in loaded.signatures:
    raise refuse(
      'a SavedModel with the signature serving_default',
      f'this one has {", ".join(sorted(loaded.signatures)) or "no signature"}',
    )
  return loaded


def _find_input(
  serve: Callable[..., dict[str, tf.Tensor]], refuse: _Refuse
) -> tuple[str, tf.TensorSpec]:
  """Returns the name and the specification of a signature's images."""
  _, inputs = serve.structured_input_signature
  specs = list(inputs.values())
  if len(specs) == 1 and specs[0].shape.rank in (None, 4):
    if specs[0].dtype == tf.uint8 or specs[0].dtype.is_floating:
      return next(iter(inputs.items()))
  found = ', '.join(f'{spec.dtype.name} {spec.shape}' for spec in specs)
  raise refuse(
    'a SavedModel whose serving_default takes images [B, H, W, C], uint8 or '
    'floats, and nothing else',
    f'this one takes {found or "nothing"}',
  )


def _fitting(
  spec: tf.TensorSpec, images: np.ndarray | None, refuse: _Refuse
) -> np.ndarray:
  """Returns the images, or a black one if the signature has another size."""
  batch, *sides = spec.shape.with_rank(4).as_list()
  if batch is not None:
    raise refuse(
      'a SavedModel that takes any number of images',
      f'this one takes {batch} at a time',
    )
  if images is not None and all(
    side in (None, size) for side, size in zip(sides, images.shape[1:])
  ):
    return images
  if None in sides:
    size = 'of a known size' if images is None else str(list(images.shape[1:]))
    raise refuse(
      f'a SavedModel that takes images {size}', f'this one takes {sides}'
    )
  return np.zeros([1, *sides], np.uint8)


def _find_output(
  served: dict[str, np.ndarray], batch: int, refuse: _Refuse
) -> tuple[str, bool]:
  """Returns an output's name, and whether it holds probabilities."""
  names = [name for name in _NAMES if name in served] or list(served)
  if not names or (names[0] not in _NAMES and len(names) > 1):
    raise refuse(
      'a SavedModel whose serving_default returns '
      f'{", ".join(_NAMES)}, or a single output of floats',
      f'this one returns {", ".join(sorted(served)) or "no floats"}',
    )
  name = names[0]
  values = served[name]
  expected = f'a SavedModel that returns {name} as finite [B, K] or [B, E, K]'
  if values.ndim not in (2, 3) or len(values) != batch:
    raise refuse(
      expected, f'for {batch} images it returns {list(values.shape)}'
    )
  if not np.isfinite(values).all():
    raise refuse(expected, 'it returns inf or NaN')
  are_probs = bool(
    (values >= 0).all() and (abs(values.sum(-1) - 1) < _TOLERANCE).all()
  )
  if _NAMES.get(name, are_probs) != are_probs:
    raise refuse(
      f'a SavedModel whose {name} are {name.rpartition("_")[-1]}',
      f'they are {"" if are_probs else "not "}probabilities that sum to 1',
    )
  within = 0 <= values.min() and values.max() <= 1
  if name not in _NAMES and within and not are_probs:
    # These may be sigmoids, whose softmax would be something else.
    raise refuse(
      'a SavedModel that returns probabilities that sum to 1, or logits',
      f'its {name} are between 0 and 1; if they are logits, name them logits',
    )
  return name, are_probs


@functools.cache
def _warn(line: str) -> None:
  """Logs a warning, but the same warning only once."""
  _logger.warning(line)
