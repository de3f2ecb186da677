"""Tests of what a command imports before it has something to do."""

import functools

import pytest
import running

_PREPARE = (
  'from uncertainty_distill import training\n'
  'from uncertainty_distill.baselines.cifar import launch\n'
)


@functools.cache
def _prepared():
  """Returns what is imported before anything is used."""
  return running.imported_after(_PREPARE)


# From the module at whose import another is put off, to the use that ends it.
@pytest.mark.parametrize(
  'module, use',
  [
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
  ],
)
def test_what_is_put_off_comes_when_it_is_used(module, use):
  assert module not in _prepared()
  assert module in running.imported_after(_PREPARE + use)
