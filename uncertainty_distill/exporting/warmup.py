"""Warm-up requests, which TensorFlow Serving answers before all others.

The first request to a model is slow, because it triggers work that is done only
once. When TensorFlow Serving loads a model, it reads the warm-up requests from
`assets.extra/tf_serving_warmup_requests`: TFRecords of `PredictionLog` messages
(tensorflow_serving/apis/prediction_log.proto).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

FILE = 'assets.extra/tf_serving_warmup_requests'

# The numbers of fields in TensorFlow Serving's messages. They are written here
# because they are few, and TensorFlow Serving's own package would be one more
# dependency.
_LOG_PREDICT = 6
_PREDICT_REQUEST = 1
_REQUEST_MODEL, _REQUEST_INPUTS = 1, 2
_MODEL_SIGNATURE = 3
_KEY, _VALUE = 1, 2


def write_warmup(path: str, image_shape: Sequence[int]) -> None:
  """Writes three requests: for one image, several images, and one PNG file.

  The first two call `serving_default`, the last calls `serve_encoded`.

  Args:
    path: The file to write, in a folder that exists.
    image_shape: H, W, C.
  """
  gray = np.full([8, *image_shape], 128, np.uint8)
  png = tf.io.encode_png(gray[0]).numpy()
  encoded = {'image_bytes': np.array([png], object)}
  with tf.io.TFRecordWriter(path) as writer:
    writer.write(prediction_log('serving_default', {'images': gray[:1]}))
    writer.write(prediction_log('serving_default', {'images': gray}))
    writer.write(prediction_log('serve_encoded', encoded))


def prediction_log(signature: str, inputs: Mapping[str, np.ndarray]) -> bytes:
  """Returns a serialized `PredictionLog` with a `PredictRequest`.

  Args:
    signature: The name of the model's signature.
    inputs: The arguments of the signature, by name.
  """
  model = _field(_MODEL_SIGNATURE, signature.encode())
  request = _field(_REQUEST_MODEL, model)
  for name, value in inputs.items():
    tensor = tf.make_tensor_proto(value).SerializeToString()
    entry = _field(_KEY, name.encode()) + _field(_VALUE, tensor)
    request += _field(_REQUEST_INPUTS, entry)
  return _field(_LOG_PREDICT, _field(_PREDICT_REQUEST, request))


def _field(number: int, content: bytes) -> bytes:
  """Returns a field of the wire format: tag, length, content."""
  length_delimited = 2
  tag = number << 3 | length_delimited
  return _varint(tag) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
  """Returns a number as bytes of seven bits each, the lowest bits first."""
  groups = []
  while value > 0x7F:
    groups.append(value & 0x7F | 0x80)
    value >>= 7
  return bytes([*groups, value])
