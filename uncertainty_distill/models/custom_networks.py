"""The user's own networks, from a function or from a Keras model."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import importlib
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from uncertainty_distill import ranges
from uncertainty_distill.errors import InputError, first_line
from uncertainty_distill.models import variables
from uncertainty_distill.models.architecture import Architecture

import tensorflow as tf
import tf_keras

_KNOWN_LAYERS = (
  'built-in Keras layers other than Lambda, or of layers that are registered '
  'with `tf_keras.saving.register_keras_serializable`'
)
_FUNCTION = re.compile(r'[\w.]+:\w+')
# What a definition may be made of: classes that only compute. Other classes of
# Keras contain functions, read files, or call any operation of TensorFlow.
_NETWORKS = 'Functional', 'Sequential', 'Model'
_OPERATIONS = 'TFOpLambda', 'SlicingOpLambda'
_VALUES = '__ellipsis__', '__tuple__', 'TensorShape'
_OF_APPLICATIONS = 'LayerScale', 'CustomScaleLayer', 'StochasticDepth', 'Policy'
_MORE_THAN_LAYERS = frozenset(
  """AbstractRNNCell DenseFeatures InputSpec IntegerLookup Lambda Layer
  StringLookup TextVectorization Wrapper""".split()
)
# The functions of TensorFlow that a definition may name, which only compute.
_COMPUTING = (
  '__operators__',
  'bitwise',
  'dtypes',
  'image',
  'linalg',
  'math',
  'nn',
  'random',
  'sets',
  'signal',
  'sparse',
  'strings',
)
_ON_ARRAYS = frozenset(
  """abs argsort batch_to_space bitcast boolean_mask broadcast_to cast
  clip_by_norm clip_by_value concat constant convert_to_tensor cumsum divide
  dynamic_partition dynamic_stitch einsum ensure_shape equal expand_dims
  extract_volume_patches eye fill floor gather gather_nd identity linspace
  meshgrid norm one_hot ones ones_like pad parallel_stack range rank realdiv
  repeat reshape reverse reverse_sequence roll saturate_cast scatter_nd
  searchsorted sequence_mask shape size slice sort space_to_batch
  space_to_batch_nd split squeeze stack stop_gradient strided_slice
  tensor_scatter_nd_add tensor_scatter_nd_max tensor_scatter_nd_min
  tensor_scatter_nd_sub tensor_scatter_nd_update tensordot tile transpose unique
  unstack where zeros zeros_like""".split()
)


@dataclasses.dataclass
class CustomNetwork(Architecture):
  """A network that the user's function builds; loading the network runs it.

  The function takes `image_shape` (H, W, C) and `num_classes` (K). It returns a
  functional `tf_keras.Model` of float images [B, H, W, C] of 0..255 -> logits
  [B, K]. The model itself scales the images as it needs. BatchNorm keeps the
  momentum and epsilon that the function gives it.

  In a BatchEnsemble, only adapted Normalization layers keep the weights that
  the function sets. A single network and a Hydra keep all of them. To start
  from a network's weights, give the network itself to `ud.train` or
  `ud.distill`.

  Attributes:
    function: The function, as `module:function`. The module is looked for where
      Python looks for modules, and then in the working directory.
  """

  function: str = ''

  @property
  def label(self) -> str:
    return self.function

  def build(
    self,
    image_shape: Sequence[int],
    num_classes: int,
    *,
    mean: Sequence[float] = (0.0,),
    stddev: Sequence[float] = (1.0,),
    batch_norm: Any = None,
  ) -> tf_keras.Model:
    function = self._find()
    try:
      model = function(image_shape=tuple(image_shape), num_classes=num_classes)
    except Exception as error:
      # The user's code may raise anything. Keras raises a ValueError if the
      # images are too small for the strides.
      raise InputError(
        'task.model.function',
        self.function,
        'a function that builds a network of this shape and these classes',
        message=f'`task.model.function` {self.function} fails for images '
        f'{list(image_shape)} and {num_classes} classes '
        f'({type(error).__name__}: {first_line(error)})',
      ) from error
    check_plain(model, image_shape, num_classes, 'task.model.function')
    return model

  def _find(self) -> Callable[..., tf_keras.Model]:
    """Returns the function."""
    expected = 'a function of your own, written as module:function'
    if not _FUNCTION.fullmatch(self.function):
      raise InputError('task.model.function', self.function, expected)
    module, _, name = self.function.partition(':')
    try:
      with _working_directory_on_path():
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
      raise InputError(
        'task.model.function', self.function, f'{expected} ({error})'
      ) from error


@dataclasses.dataclass
class KerasModel(Architecture):
  """A network as Keras describes it, which needs none of the user's code.

  Attributes:
    definition: The model's configuration, as `to_json` writes it.
  """

  definition: str = ''

  @classmethod
  def of(cls, model: tf_keras.Model, name: str) -> KerasModel:
    """Describes a model.

    Args:
      model: A plain network.
      name: The argument that the model is from, for error messages.

    Raises:
      InputError: If the model is not a functional or Sequential model of
        `tf_keras`, has several inputs or outputs, or has layers that Keras
        cannot make without the user's code.
    """
    check_graph(model, name)
    found = cls()
    try:
      found.definition = model.to_json()
    except Exception as error:
      # A layer's `get_config` may raise anything, and so may JSON.
      raise _unknown_layer(name, model.name, error) from error
    found._rebuilt(name)
    return found

  @property
  def label(self) -> str:
    described = json.loads(self.definition or '{"config": {}}')
    # Keras numbers networks without a given name, process by process.
    name = described['config'].get('name', 'Keras model')
    return re.sub(r'_\d+$', '', name)

  @property
  def identity(self) -> str:
    if not self.definition:
      return ''
    described = json.dumps(json.loads(self.definition)['config'])
    names = re.findall(r'"name": "([^"]+)"', described)
    order = {name: str(i) for i, name in enumerate(dict.fromkeys(names))}
    # Keras also numbers layers without a given name.
    described = re.sub(
      r'"([^"]+)"', lambda found: order.get(found[1], found[1]), described
    )
    digest = hashlib.sha256(described.encode()).hexdigest()
    return f'{self.label} ({digest[:8]})'

  def build(
    self,
    image_shape: Sequence[int],
    num_classes: int,
    *,
    mean: Sequence[float] = (0.0,),
    stddev: Sequence[float] = (1.0,),
    batch_norm: Any = None,
  ) -> tf_keras.Model:
    name = 'task.model.definition'
    model = self._rebuilt(name)
    check_plain(model, image_shape, num_classes, name)
    return model

  def _rebuilt(self, name: str) -> tf_keras.Model:
    """Returns the model that the definition describes."""
    if not self.definition:
      raise InputError(name, '', 'a Keras model as JSON, as ud.train writes it')
    try:
      _check_needs_no_code(json.loads(self.definition), name)
      return tf_keras.models.model_from_json(self.definition)  # pyright: ignore[reportReturnType]
    except InputError:
      raise
    except Exception as error:
      # A layer's constructor may raise anything, and so may damaged JSON.
      raise _unknown_layer(name, 'the definition', error) from error


def _unknown_layer(name: str, label: str, error: Exception) -> InputError:
  reason = f'{type(error).__name__}: {first_line(error)}'
  return InputError(name, label, f'a model of {_KNOWN_LAYERS} ({reason})')


def _check_needs_no_code(part: Any, name: str) -> None:
  """Raises an InputError unless a definition is made of known parts.

  Keras imports modules and calls functions that a definition names.
  """
  if isinstance(part, dict):
    # The legacy loader takes such parts, and functions in them as bytes.
    is_legacy = '__passive_serialization__' in part
    if is_legacy or not _is_known(part):
      kind = part.get('class_name', part.get('module'))
      raise InputError(name, kind, f'a model of {_KNOWN_LAYERS}')
    if part.get('class_name') in _OPERATIONS:
      _check_computes(part, name)
  inner = part.values() if isinstance(part, dict) else part
  for each in inner:
    if isinstance(each, dict | list):
      _check_needs_no_code(each, name)


def _is_known(part: dict[str, Any]) -> bool:
  """Returns whether a part is none that Keras makes, or one that is known."""
  fields = ('class_name', 'module', 'registered_name')
  kind, module, registered = (part.get(field) for field in fields)
  if kind is None:
    # A configuration may have a field that is called `module`, but no class.
    return True
  if not all(
    isinstance(x, str) for x in (kind, module or '', registered or '')
  ):
    return False
  room = (module or 'keras').partition('.')[0]
  if kind == 'function':
    # Keras looks it up by this name among registered objects, and then in the
    # module, which it imports.
    own = part.get('config')
    return isinstance(own, str) and (
      tf_keras.saving.get_registered_object(own) is not None
      or (
        room in ('builtins', 'keras', 'tf_keras')
        and own in dir(tf_keras.activations)
        and own[0].islower()
      )
    )
  found = tf_keras.saving.get_registered_object(registered)
  if found is not None and kind == getattr(found, '__name__', None):
    return True
  is_keras = room in ('keras', 'tf_keras')
  # Weights' initializers of TensorFlow are listed under their own module.
  is_keras |= module == 'tensorflow.python.ops.init_ops_v2'
  return is_keras and kind in _classes()


@functools.cache
def _classes() -> frozenset[str]:
  """Returns the names of Keras's classes that a definition may have."""
  rooms = (
    tf_keras.layers,
    tf_keras.initializers,
    tf_keras.regularizers,
    tf_keras.constraints,
  )
  public = {n for room in rooms for n in dir(room) if n[0].isupper()}
  more = {*_NETWORKS, *_OPERATIONS, *_VALUES, *_OF_APPLICATIONS}
  return frozenset((public - _MORE_THAN_LAYERS) | more)


def _check_computes(part: dict[str, Any], name: str) -> None:
  """Raises an InputError unless an operation's function only computes."""
  config = part.get('config')
  function = config.get('function') if isinstance(config, dict) else None
  plain = str(function).removeprefix('compat.v1.')
  space, dot, rest = plain.partition('.')
  # Classes, whose names begin with a capital, may call what they are given.
  computes = rest[:1].islower() and space in _COMPUTING
  if not (computes if dot else plain in _ON_ARRAYS):
    raise InputError(
      name,
      function,
      "a model whose operations only compute, such as TensorFlow's tf.math",
    )


def check_keras_2(model: Any, name: str) -> None:
  """Raises an InputError unless an object is a model of `tf_keras`."""
  if isinstance(model, tf_keras.Model):
    return
  expected = 'a functional or sequential tf_keras.Model'
  hint = ''
  if type(model).__module__.partition('.')[0] == 'keras':
    hint = (
      'this model was built with Keras 3: build it with tf_keras, or import '
      'uncertainty_distill before TensorFlow, so that tf.keras is Keras 2'
    )
  raise InputError(name, type(model).__name__, expected, hint)


def check_graph(model: Any, name: str) -> None:
  """Checks that a model has a graph from one input to one output.

  Args:
    model: The model.
    name: The argument that the model is from, for error messages.

  Raises:
    InputError: If the model is not a functional or Sequential model of
      `tf_keras`, or has several inputs or outputs.
  """
  check_keras_2(model, name)
  if not variables.is_network(model) or not model.inputs:
    raise InputError(
      name,
      type(model).__name__,
      'a functional model, or a Sequential one whose input shape is known',
      'begin a Sequential model with a tf_keras.Input',
    )
  for kind, tensors in ('inputs', model.inputs), ('outputs', model.outputs):
    ranges.Range(lambda n: n == 1, '1').check(
      f'the number of {kind} of {model.name}', len(tensors)
    )


def check_plain(
  model: Any, image_shape: Sequence[int], num_classes: int, name: str
) -> None:
  """Checks that a model is a network of images [B, H, W, C] -> logits [B, K].

  Args:
    model: The model.
    image_shape: H, W, C.
    num_classes: K.
    name: The argument that the model is from, for error messages.

  Raises:
    InputError: If the model is not such a network, or ends in a softmax.
  """
  check_graph(model, name)
  taken, given = model.input_shape, model.output_shape
  if not _may_be(taken[1:], image_shape) or not _may_be(
    given[1:], [num_classes]
  ):
    raise InputError(
      name,
      f'{list(taken)} -> {list(given)}',
      f'a model of [B, {", ".join(map(str, image_shape))}] -> [B, '
      f'{num_classes}], to fit the images and classes of the dataset',
    )
  if _ends_in_softmax(model):
    raise InputError(
      name,
      'softmax',
      'a model that returns logits: leave out the last softmax',
    )


def _ends_in_softmax(model: tf_keras.Model) -> bool:
  """Returns whether a model ends in a softmax, perhaps in a nested model."""
  last = model.output._keras_history.layer  # pyright: ignore[reportAttributeAccessIssue]
  if variables.is_network(last):
    return _ends_in_softmax(last)
  return (
    isinstance(last, tf_keras.layers.Softmax)
    or getattr(last, 'activation', None)
    in (tf_keras.activations.softmax, tf.nn.softmax)
    # The layer that Keras makes of `tf.nn.softmax`.
    or getattr(last, 'symbol', '') == 'nn.softmax'
  )


def _may_be(shape, expected):
  """Returns whether a shape, whose sizes may be None, fits the expected one."""
  return len(shape) == len(expected) and all(
    size in (None, other) for size, other in zip(shape, expected)
  )


@contextlib.contextmanager
def _working_directory_on_path():
  """Lets imports look for modules in the working directory last."""
  folder = os.getcwd()
  sys.path.append(folder)
  try:
    yield
  finally:
    # The last of these: the user's module may have added more, which stay.
    del sys.path[len(sys.path) - 1 - sys.path[::-1].index(folder)]
