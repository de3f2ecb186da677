"""Tests of the requests that TensorFlow Serving warms up with."""

from uncertainty_distill import exporting

import numpy as np
import tensorflow as tf
import tiny_networks
from google.protobuf import (
  descriptor_pb2,
  descriptor_pool,
  message_factory,
  unknown_fields,
)

# The messages of tensorflow_serving/apis that a predict request needs. A tensor
# stays bytes here, because TensorFlow has its own message to parse it.
_MESSAGES = {
  'ModelSpec': [('name', 1, 'string'), ('signature_name', 3, 'string')],
  'Input': [('key', 1, 'string'), ('value', 2, 'bytes')],
  'PredictRequest': [('model_spec', 1, 'ModelSpec'), ('inputs', 2, 'Input')],
  'PredictLog': [('request', 1, 'PredictRequest')],
  'PredictionLog': [('predict_log', 6, 'PredictLog')],
}


def _prediction_log():
  """Returns the class of `PredictionLog` messages."""
  file = descriptor_pb2.FileDescriptorProto(name='log.proto', syntax='proto3')
  kinds = descriptor_pb2.FieldDescriptorProto
  for message, fields in _MESSAGES.items():
    described = file.message_type.add(name=message)
    for name, number, kind in fields:
      field = described.field.add(name=name, number=number)
      field.label = (
        kinds.LABEL_REPEATED if name == 'inputs' else kinds.LABEL_OPTIONAL
      )
      if kind in _MESSAGES:
        field.type, field.type_name = kinds.TYPE_MESSAGE, kind
      else:
        field.type = getattr(kinds, f'TYPE_{kind.upper()}')
  pool = descriptor_pool.DescriptorPool()
  pool.Add(file)
  return message_factory.GetMessageClass(
    pool.FindMessageTypeByName('PredictionLog')
  )


def test_the_model_answers_its_warm_up(tmp_path):
  model = tiny_networks.build(
    image_shape=(16, 16, 3),
    num_classes=4,
    depth=10,
    width=1,
    mean=(0.5,) * 3,
    stddev=(0.25,) * 3,
    ensemble_size=2,
  )
  folder = exporting.export_saved_model(
    model,
    (16, 16, 3),
    str(tmp_path / 'm'),
    class_names=list('abcd'),
    documents={'assets.extra/note.md': 'text'},
  )
  extra = tmp_path / 'm' / 'assets.extra'
  assert (extra / 'class_names.txt').read_text() == 'a\nb\nc\nd\n'
  assert (extra / 'note.md').read_text() == 'text'
  loaded = tf.saved_model.load(folder)
  log, answered = _prediction_log(), []
  records = tf.data.TFRecordDataset(str(extra / 'tf_serving_warmup_requests'))
  for record in records:
    parsed = log.FromString(record.numpy())
    request = parsed.predict_log.request
    messages = parsed, parsed.predict_log, request, request.model_spec
    for message in *messages, *request.inputs:
      assert not list(unknown_fields.UnknownFieldSet(message))
    arguments = {
      entry.key: tf.constant(_array(entry.value)) for entry in request.inputs
    }
    signature = request.model_spec.signature_name
    answer = loaded.signatures[signature](**arguments)
    answered.append((signature, len(answer['label'])))
  assert answered == [
    ('serving_default', 1),
    ('serving_default', 8),
    ('serve_encoded', 1),
  ]


def _array(serialized):
  """Returns the array of a TensorProto."""
  proto = tf.make_tensor_proto(np.zeros([]))
  proto.ParseFromString(serialized)
  return tf.make_ndarray(proto)
