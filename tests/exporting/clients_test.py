"""Tests that other programs get the same numbers from a SavedModel."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tiny_served

_OUTPUTS = (
  'probabilities',
  'member_probabilities',
  'confidence',
  'predictive_entropy',
  'expected_entropy',
  'mutual_information',
)


@pytest.fixture(name='served', scope='module')
def fixture_served(tmp_path_factory):
  """A folder with a SavedModel and images, and the answers for the images."""
  folder = tmp_path_factory.mktemp('clients')
  _, directory = tiny_served.make(folder / 'model')
  images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
  np.save(folder / 'images.npy', images)
  loaded = tf.saved_model.load(directory)
  answers = loaded.signatures['serving_default'](images=tf.constant(images))
  return folder, {key: value.numpy() for key, value in answers.items()}


def _run(folder, *command):
  # Without these variables, TensorFlow is not told to use Keras 2.
  environment = {k: v for k, v in os.environ.items() if 'KERAS' not in k}
  environment.pop('PYTHONPATH', None)
  done = subprocess.run(
    list(map(str, command)),
    cwd=folder,
    env=environment,
    text=True,
    capture_output=True,
    check=False,
    timeout=120,
  )
  assert done.returncode == 0, done.stderr[-2000:]


_BY_TENSORFLOW = """
import sys

class Refuse:
  def find_spec(self, name, path=None, target=None):
    refused = ('uncertainty_distill', 'edward2', 'official',
               'tensorflow_probability')
    if name.partition('.')[0] in refused:
      raise ImportError(f'{name} is refused')

sys.meta_path.insert(0, Refuse())
import numpy as np
import tensorflow as tf
loaded = tf.saved_model.load('model')
serve = loaded.signatures['serving_default']
served = serve(images=tf.constant(np.load('images.npy')))
np.savez('answers.npz', **{key: value.numpy() for key, value in served.items()
                           if key != 'class_name'})
assert 'tf_keras' not in sys.modules
"""


def test_needs_nothing_but_tensorflow(served):
  folder, want = served
  # With -I, neither the environment nor this folder adds to Python's path.
  _run(folder, sys.executable, '-I', '-c', _BY_TENSORFLOW)
  with np.load(folder / 'answers.npz') as answers:
    assert set(answers) == set(want) - {'class_name'}
    for key in answers:
      np.testing.assert_allclose(answers[key], want[key], atol=1e-5)


def test_saved_model_cli(served):
  folder, want = served
  _run(
    folder,
    sys.executable,
    '-I',
    '-m',
    'tensorflow.python.tools.saved_model_cli',
    'run',
    '--dir=model',
    '--tag_set=serve',
    '--signature_def=serving_default',
    '--inputs=images=images.npy',
    '--outdir=answers',
  )
  for key in _OUTPUTS + ('label',):
    got = np.load(folder / 'answers' / f'{key}.npy')
    np.testing.assert_allclose(got, want[key], atol=1e-5)
  # Strings are stored as Python objects.
  names = np.load(folder / 'answers' / 'class_name.npy', allow_pickle=True)
  assert names.tolist() == want['class_name'].tolist()


# Here Python only calls C functions: TensorFlow's Python is not imported.
_BY_C = r"""
import ctypes, glob, importlib.util, sys
import numpy as np

folder = importlib.util.find_spec('tensorflow').submodule_search_locations[0]
for pattern in 'framework', 'cc':
  (path,) = glob.glob(f'{folder}/libtensorflow_{pattern}.*.[0-9]*')
  tf = ctypes.CDLL(path, ctypes.RTLD_GLOBAL)

class Output(ctypes.Structure):
  _fields_ = [('operation', ctypes.c_void_p), ('index', ctypes.c_int)]

for name in ('NewStatus', 'NewGraph', 'NewSessionOptions', 'AllocateTensor',
             'LoadSessionFromSavedModel', 'GraphOperationByName', 'TensorData'):
  getattr(tf, 'TF_' + name).restype = ctypes.c_void_p
tf.TF_Message.restype = ctypes.c_char_p
tf.TF_TensorByteSize.restype = ctypes.c_size_t
tf.TF_Dim.restype = ctypes.c_int64
pointer = ctypes.c_void_p

def check():
  assert tf.TF_GetCode(status) == 0, tf.TF_Message(status)

status = pointer(tf.TF_NewStatus())
graph = pointer(tf.TF_NewGraph())
tags = (ctypes.c_char_p * 1)(b'serve')
session = pointer(tf.TF_LoadSessionFromSavedModel(
    pointer(tf.TF_NewSessionOptions()), None, b'model', tags, 1, graph, None,
    status))
check()

def output(tensor):
  name, index = tensor.split(':')
  operation = tf.TF_GraphOperationByName(graph, name.encode())
  assert operation, tensor
  return Output(operation, int(index))

given, *wanted = sys.argv[1:]
outputs = (Output * len(wanted))(*map(output, wanted))
images = np.load('images.npy')

def ask(images, code=4):  # Of uint8.
  values = (pointer * len(wanted))()
  shape = (ctypes.c_int64 * images.ndim)(*images.shape)
  tensor = pointer(tf.TF_AllocateTensor(
      code, shape, images.ndim, ctypes.c_size_t(images.nbytes)))
  ctypes.memmove(tf.TF_TensorData(tensor), images.tobytes(), images.nbytes)
  tf.TF_SessionRun(
      session, None, (Output * 1)(output(given)), (pointer * 1)(tensor), 1,
      outputs, values, len(wanted), None, 0, None, status)
  return [pointer(value) for value in values]

def array(value):
  size = [tf.TF_Dim(value, axis) for axis in range(tf.TF_NumDims(value))]
  data = ctypes.string_at(tf.TF_TensorData(value), tf.TF_TensorByteSize(value))
  return np.frombuffer(data, np.float32).reshape(size)

for wrong, code in (
    (images[0], 4), (images[:, 0], 4), (images[:, :7], 4), (images[..., :1], 4),
    (images.astype(np.float32), 1), (images.astype(np.int32), 3),
):
  ask(wrong, code)
  assert tf.TF_GetCode(status) == 3, tf.TF_Message(status)  # Invalid argument.
nothing = [array(value) for value in ask(images[:0])]
check()
assert [len(value) for value in nothing] == [0] * len(wanted)
values = ask(images)
check()
np.savez('by_c.npz', **{str(i): array(v) for i, v in enumerate(values)})
assert 'tensorflow' not in sys.modules
"""


def test_c_api_answers_after_wrong_requests(served):
  folder, want = served
  # A C program would read the names in the MetaGraphDef that loading returns.
  signature = _signature(folder / 'model')
  given = signature.inputs['images'].name
  tensors = [signature.outputs[key].name for key in _OUTPUTS]
  _run(folder, sys.executable, '-I', '-c', _BY_C, given, *tensors)
  with np.load(folder / 'by_c.npz') as answers:
    for index, key in enumerate(_OUTPUTS):
      np.testing.assert_allclose(answers[str(index)], want[key], atol=1e-5)


def _signature(directory):
  """Returns the SignatureDef of `serving_default`."""
  with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    meta_graph = tf.compat.v1.saved_model.load(
      session, ['serve'], str(directory)
    )
  return meta_graph.signature_def['serving_default']
