"""Tests of what a command imports before it has something to do."""

import json
import subprocess
import sys

import pytest

_PREPARE = """
import json, sys
from uncertainty_distill.baselines.cifar import launch
"""


def _imported_after(code):
  """Returns the modules that a new process has imported after some code."""
  code = f'{_PREPARE}{code}\nprint(json.dumps(sorted(sys.modules)))'
  done = subprocess.run(
      [sys.executable, '-c', code], capture_output=True, text=True, check=True,
      timeout=120,
  )
  return set(json.loads(done.stdout.splitlines()[-1]))


# From the module at whose import another is put off, to the use that ends it.
@pytest.mark.parametrize('module, use', [
    (
        'tensorflow_datasets.core',
        'from official.core import input_reader\n'
        'assert "cifar10" in input_reader.tfds.list_builders()',
    ),
    (
        'tensorflow_datasets.core',
        'import tensorflow_datasets.core.features as features\n'
        'assert features.Image and "tensorflow_datasets.core" in sys.modules',
    ),
    (
        'scipy.optimize',
        'from edward2.tensorflow.layers import utils\n'
        'rows, columns = utils.linear_sum_assignment([[1, 0], [0, 2]])\n'
        'assert list(columns) == [1, 0]\n'
        'from scipy import optimize\n'
        'assert optimize.minimize_scalar(lambda x: (x - 1) ** 2).success',
    ),
    (
        'matplotlib.figure',
        'from uncertainty_distill import plots\n'
        'assert plots.display_name("a_b") == "A b" and plots.Figure',
    ),
])
def test_what_is_put_off_comes_when_it_is_used(module, use):
  assert module not in _imported_after('')
  assert module in _imported_after(use)
