"""Random mistakes in users' input: never a traceback, never a wrong result.

Hypothesis draws the cases from a fixed seed. `make fuzz` tries ten times as
many; docs/reliability.md has the findings.
"""

import functools
import io
import os
import pathlib
import shutil

from uncertainty_distill import configs, data, exporting, runs, training
from uncertainty_distill.api import image_files
from uncertainty_distill.data.pictures import image_decoding
from uncertainty_distill.errors import InputError
from uncertainty_distill.trained import stored_predictions

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
import tiny_runs
from hypothesis import strategies as st
from PIL import Image

_CASES = int(os.environ.get('FUZZ_CASES', '34'))
_fuzz, _fuzz_slowly = (
  hypothesis.settings(
    max_examples=number,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
  )
  for number in (_CASES, _CASES // 2)
)
_LABELS = np.arange(12) % 3
_PIXELS = np.random.RandomState(0).randint(0, 256, [12, 16, 16, 3], np.uint8)


def _names(config, prefix=''):
  """Returns the dotted names of all values of a configuration."""
  found = []
  for key, value in config.as_dict().items():
    field = getattr(config, key)
    inner = hasattr(field, 'as_dict')
    found += _names(field, f'{prefix}{key}.') if inner else [f'{prefix}{key}']
    del value
  return found


_NAMES = _names(configs.load_config('digits_wrn10_1'))
_VALUES = st.one_of(
  st.integers(-3, 2**40),
  st.floats(),
  st.booleans(),
  st.none(),
  st.text(max_size=8),
  st.lists(st.one_of(st.integers(-1, 9), st.text(max_size=3)), max_size=7),
)
# Where to change a file (as a share of its length), a byte, and how.
_DAMAGE = st.tuples(
  st.floats(0, 1, exclude_max=True),
  st.integers(1, 255),
  st.sampled_from(['flip', 'cut', 'insert', 'double']),
)


def _damaged(content, damage):
  """Returns a file's bytes with one changed or new, or a part gone or twice."""
  share, value, how = damage
  place = int(share * len(content))
  if how == 'cut':
    return content[:place]
  if how == 'insert':
    return content[:place] + bytes([value]) + content[place:]
  if how == 'double':
    return content[:place] + content[place // 2 :]
  changed = bytes([content[place] ^ value])
  return content[:place] + changed + content[place + 1 :]


def _resolved(config):
  """Returns the resolved experiment, or None for an InputError of one line."""
  try:
    return configs.resolve(config(), data.open_dataset('digits'))
  except InputError as error:
    assert '\n' not in str(error)
    return None


@_fuzz
@hypothesis.given(st.sampled_from(_NAMES), _VALUES)
def test_overrides(name, value):
  def config():
    config = configs.load_config('digits_wrn10_1')
    for part in reversed(name.split('.')):
      value_of = {part: config_value[0]}
      config_value[0] = value_of
    configs.override(config, config_value[0], 'overrides')
    return config

  config_value = [value]
  resolved = _resolved(config)
  if resolved is not None:
    # Every accepted experiment can be written and read again.
    text = runs.to_plain(resolved.as_dict())
    again = configs.ExperimentConfig()
    configs.override(again, text, 'params.yaml')
    assert runs.to_plain(again.as_dict()) == text


@_fuzz
@hypothesis.given(
  st.one_of(
    st.text(max_size=40),
    st.builds('{}={}'.format, st.sampled_from(_NAMES), st.text(max_size=9)),
    st.builds('{}: {}'.format, st.sampled_from(_NAMES), st.text(max_size=9)),
  )
)
def test_flags_and_yaml(text):
  _resolved(functools.partial(configs.load_config, 'digits_wrn10_1', (), text))


@pytest.fixture(name='folder', scope='module')
def fixture_folder(tmp_path_factory):
  return tmp_path_factory.mktemp('fuzz')


@pytest.fixture(name='served', scope='module')
def fixture_served():
  return tf.function(
    lambda encoded: image_decoding.decode_image(encoded, (16, 16)),
    input_signature=[tf.TensorSpec([], tf.string)],
    autograph=False,
  )


_PICTURES = {}
for _form in 'PNG', 'JPEG', 'WEBP', 'TIFF', 'GIF':
  _content = io.BytesIO()
  Image.fromarray(_PIXELS[0]).save(_content, _form)
  _PICTURES[_form] = _content.getvalue()


@_fuzz
@hypothesis.given(st.sampled_from(sorted(_PICTURES)), _DAMAGE)
def test_image_files(folder, served, form, damage):
  path = folder / 'picture'
  content = _damaged(_PICTURES[form], damage)
  path.write_bytes(content)
  got = image_files.read_image(str(path), (16, 16))
  try:
    decoded = served(content).numpy()
  except tf.errors.InvalidArgumentError:
    decoded = None
  if form in ('PNG', 'JPEG'):
    # Both decoders agree on the pixels, or that the file is unreadable.
    assert (decoded is None) == isinstance(got, image_files.UnreadableFile)
    if decoded is not None:
      np.testing.assert_array_equal(got, decoded)
  if form == 'PNG' and decoded is not None:
    np.testing.assert_array_equal(decoded, _PIXELS[0])  # PNG has checksums.


def _archive(save=np.savez, **arrays):
  content = io.BytesIO()
  save(content, **arrays)
  return content.getvalue()


_DATASET = {
  f'{split}_{kind}': array
  for split in ('train', 'test')
  for kind, array in (('images', _PIXELS), ('labels', _LABELS))
}
_PROBS = np.random.RandomState(1).dirichlet([1, 1, 1], [2, 12])


@_fuzz
@hypothesis.given(st.sampled_from([np.savez, np.savez_compressed]), _DAMAGE)
def test_dataset_files(folder, save, damage):
  path = folder / 'own.npz'
  path.write_bytes(_damaged(_archive(save, **_DATASET), damage))
  os.utime(path, ns=(1, abs(hash(damage)) % 10**9))
  try:
    dataset = data.open_dataset(str(path))
    np.testing.assert_array_equal(dataset.train.images, _PIXELS)
    np.testing.assert_array_equal(dataset.test.labels, _LABELS)
  except InputError as error:
    assert '\n' not in str(error)


@_fuzz
@hypothesis.given(st.sampled_from([np.savez, np.savez_compressed]), _DAMAGE)
def test_stored_predictions(folder, save, damage):
  path = folder / 'predictions.npz'
  content = _archive(save, train_probs=_PROBS, train_labels=_LABELS)
  path.write_bytes(_damaged(content, damage))
  try:
    logits = stored_predictions.read_predictions(
      [str(path)], 'teacher', 'train', _LABELS, 3
    )
    np.testing.assert_allclose(np.exp(logits), _PROBS, atol=1e-6)
  except InputError as error:
    assert '\n' not in str(error)
    # A refused command leaves nothing behind.
    model_dir = str(folder / 'student')
    with pytest.raises(InputError):
      training.distill(_student_of(folder, path), model_dir)
    assert not os.path.exists(model_dir)


def _student_of(folder, teacher):
  """Returns an experiment that learns from stored predictions."""
  file = str(folder / 'whole.npz')
  if not os.path.exists(file):
    np.savez(file, **_DATASET)
  text = (
    f'task.train_data.name={file},task.objective.teacher=[{teacher}],'
    'task.train_data.global_batch_size=4,evaluation.corruptions=[]'
  )
  config = configs.load_config('digits_wrn10_1', (), text)
  strategy = tf.distribute.OneDeviceStrategy('CPU:0')
  return training.open_experiment(config, strategy)


@pytest.fixture(name='run', scope='module')
def fixture_run(folder):
  """A run folder, and the weights of its model."""
  path = tiny_runs.save(str(folder / 'run'), tiny_runs.config())
  return path, runs.open_run(path, 'path').load_model().get_weights()


def _content(path):
  """Returns the bytes of each file in a folder."""
  return {file.name: file.read_bytes() for file in pathlib.Path(path).iterdir()}


@pytest.mark.slow
@_fuzz_slowly
@hypothesis.given(st.integers(0, 3), _DAMAGE)
def test_run_folders(folder, run, number, damage):
  path, weights = run
  names = sorted(os.listdir(path))
  name = names[number % len(names)]
  copy = str(folder / 'copy')
  shutil.rmtree(copy, ignore_errors=True)
  shutil.copytree(path, copy)
  file = os.path.join(copy, name)
  with open(file, 'rb') as opened:
    content = opened.read()
  with open(file, 'wb') as opened:
    opened.write(_damaged(content, damage))
  try:
    got = runs.open_run(copy, 'path').load_model().get_weights()
  except InputError as error:
    assert '\n' not in str(error)
    before = _content(copy)
    with pytest.raises(InputError):
      exporting.export([copy], str(folder / 'saved_model'))
    assert not os.path.exists(folder / 'saved_model')
    assert _content(copy) == before
    return
  # Users may edit `params.yaml`; weights have checksums.
  if name != runs.PARAMS_FILE:
    for value, want in zip(got, weights, strict=True):
      np.testing.assert_array_equal(value, want)
