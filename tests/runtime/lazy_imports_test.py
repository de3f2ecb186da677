"""Tests that commands delay imports until the modules are used."""

import subprocess
import sys

import pytest

_PREPARE = (
  'import sys\n'
  'from uncertainty_distill import layers\n'
  'from uncertainty_distill.training import train\n'
  'from uncertainty_distill.baselines.cifar import launch\n'
)
_TFDS = 'tensorflow_datasets.core'


# Maps delayed modules to code that uses them. Modules that do not depend on one
# another share a process.
@pytest.mark.parametrize(
  'uses',
  [
    {
      'matplotlib.figure': (
        'from uncertainty_distill import plots\n'
        'assert plots.display_name("a_b") == "A b" and plots.Figure'
      ),
      'scipy.optimize': (
        'from edward2.tensorflow.layers import utils\n'
        'rows, columns = utils.linear_sum_assignment([[1, 0], [0, 2]])\n'
        'assert list(columns) == [1, 0]\n'
        'from scipy import optimize\n'
        'assert optimize.minimize_scalar(lambda x: (x - 1) ** 2).success'
      ),
      _TFDS: (
        'from official.core import input_reader\n'
        'assert "cifar10" in input_reader.tfds.list_builders()'
      ),
    },
    {
      _TFDS: (
        'import tensorflow_datasets.core.features as features\n'
        'assert features.Image'
      )
    },
  ],
)
def test_what_is_put_off_comes_when_it_is_used(uses):
  code = _PREPARE
  for module, use in uses.items():
    code += (
      f'assert "{module}" not in sys.modules, "{module} is too early"\n'
      f'{use}\nassert "{module}" in sys.modules, "{module} is missing"\n'
    )
  done = subprocess.run(
    [sys.executable, '-c', code],
    check=False,
    capture_output=True,
    text=True,
    timeout=120,
  )
  assert done.returncode == 0, done.stderr
