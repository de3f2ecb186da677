"""Compiles the smallest experiment's steps for a TPU, without having a TPU.

The tests compare the programs' arithmetic with the network's own: the
multiplications and additions of its convolutions, counted by hand.
"""

import importlib.util
import json
import pathlib
import subprocess
import sys

from uncertainty_distill import models

import pytest
import tf_keras

ROOT = pathlib.Path(__file__).resolve().parents[2]
MEMBERS = 4
EXAMPLES = 16

pytestmark = [
  pytest.mark.slow,
  pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ('jax', 'libtpu')),
    reason="needs JAX and libtpu: pip install -c constraints.txt -e '.[aot]'",
  ),
]


def _run(*arguments):
  process = subprocess.run(
    [sys.executable, *map(str, arguments)],
    cwd=ROOT,
    capture_output=True,
    check=False,
    text=True,
  )
  assert process.returncode == 0, process.stdout + process.stderr
  return process.stdout


@pytest.fixture(name='rows', scope='module')
def _rows(tmp_path_factory):
  """The numbers of the compiled programs, by system and step."""
  path = tmp_path_factory.mktemp('compiled') / 'results.json'
  # The student's training step contains a BatchEnsemble's and its teacher's.
  _run(
    'benchmarks/tpu_compile.py',
    '--experiment=digits_wrn10_1',
    '--systems=plain,online_teacher',
    f'--examples={EXAMPLES}',
    f'--output={path}',
  )
  rows = json.loads(path.read_text())
  return {(row['system'], row['step']): row for row in rows}


def test_keras_applications_compile(tmp_path):
  path = tmp_path / 'results.json'
  _run(
    'benchmarks/tpu_compile.py',
    '--experiment=imagenet_resnet50',
    '--image_shape=64,64,3',
    '--classes=10',
    '--systems=batch_ensemble',
    '--steps=evaluation',
    f'--examples={EXAMPLES}',
    f'--output={path}',
  )
  (row,) = json.loads(path.read_text())
  network = tf_keras.applications.ResNet50(
    weights=None, input_shape=(64, 64, 3), classes=10
  )
  flops = MEMBERS * EXAMPLES * models.forward_flops(network)
  # The compiler leaves out the products of kernels and padding.
  assert 0.8 < row['flops'] / flops < 1.05


def _taps(size, kernel, stride):
  """Returns how often a padded convolution's taps meet a pixel on one axis."""
  outputs = -(-size // stride)
  before = max((outputs - 1) * stride + kernel - size, 0) // 2
  return sum(
    0 <= output * stride + tap - before < size
    for output in range(outputs)
    for tap in range(kernel)
  )


def _flops(size, inputs, outputs, kernel=3, stride=1):
  """Returns the multiplications and additions of a convolution per example."""
  return 2 * _taps(size, kernel, stride) ** 2 * inputs * outputs


STEM = _flops(16, 3, 16)
HEAD = 2 * 64 * 10
# WRN-10-1 on 16x16 pixels: a block of two convolutions in each of three groups,
# a shortcut where the shape changes, and the logits of ten classes.
FORWARD = (
  STEM
  + 2 * _flops(16, 16, 16)
  + _flops(16, 16, 32, stride=2)
  + _flops(16, 16, 32, kernel=1, stride=2)
  + _flops(8, 32, 32)
  + _flops(8, 32, 64, stride=2)
  + _flops(8, 32, 64, kernel=1, stride=2)
  + _flops(4, 64, 64)
  + HEAD
)


# The gradients of the inputs, without those of the images, take as much as the
# forward pass. The gradients of the kernels take as much, too.
TRAINING = 3 * FORWARD - STEM


def test_the_arithmetic_is_that_of_the_convolutions(rows):
  for step, flops in (
    (('plain', 'evaluation'), FORWARD),
    (('plain', 'train'), TRAINING),
    (('online_teacher', 'evaluation'), MEMBERS * FORWARD),
    (('online_teacher', 'train'), MEMBERS * (TRAINING + FORWARD)),
  ):
    # Other operations come on top, and matter in so narrow a network.
    assert 1 < rows[step]['flops'] / (EXAMPLES * flops) < 1.12, step


def test_the_bytes_add_up(rows):
  assert len(rows) == 4
  for row in rows.values():
    hbm, vmem = map(sum, zip(*row['by_kind'].values()))
    assert hbm == row['hbm']
    # Two ways to count: instruction by instruction, and by the compiler.
    assert hbm + vmem == pytest.approx(row['moved'], rel=0.2)
    # The program reads all its arguments and fits into the memory.
    assert 0.99 * row['arguments'] < hbm
    assert row['arguments'] < row['memory'] < 16e9


@pytest.mark.parametrize(
  'option, system, flops',
  [
    ('ensemble_type=hydra', 'cached_head', TRAINING + 3 * (MEMBERS - 1) * HEAD),
    ('norm=member', 'cached_ods', MEMBERS * TRAINING),
    ('norm=member', 'one_member', TRAINING),
  ],
)
def test_students_beyond_the_paper_compile(option, system, flops, tmp_path):
  path = tmp_path / 'results.json'
  _run(
    'benchmarks/tpu_compile.py',
    '--experiment=digits_wrn10_1',
    f'--params_override=task.model.{option}',
    f'--systems={system}',
    '--steps=train',
    f'--examples={EXAMPLES}',
    f'--output={path}',
  )
  (row,) = json.loads(path.read_text())
  assert 1 < row['flops'] / (EXAMPLES * flops) < 1.12
