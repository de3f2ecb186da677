"""Tests of reading programs before and after the compiler of a TPU."""

import importlib
import pathlib
import sys

import pytest
import tensorflow as tf

BENCHMARKS = pathlib.Path(__file__).resolve().parents[2] / 'benchmarks'

# The 160 channels of `x` fill two tiles of 128. Half of `big` goes to VMEM,
# which is memory space 1, and is read there.
PROGRAM = """\
HloModule example, is_scheduled=true

%inner (p.1: bf16[8,160], p.2: bf16[160,128]) -> bf16[8,128] {
  %p.1 = bf16[8,160]{1,0:T(8,128)(2,1)} parameter(0)
  %p.2 = bf16[160,128]{1,0:T(8,128)(2,1)S(1)} parameter(1)
  ROOT %c = bf16[8,128]{1,0:T(8,128)(2,1)} convolution(%p.1, %p.2)
}

ENTRY %main (x: bf16[8,160], big: bf16[320,128]) -> (bf16[8,128]) {
  %x = bf16[8,160]{1,0:T(8,128)(2,1)} parameter(0), metadata={op_name="x"}
  %big = bf16[320,128]{1,0:T(8,128)(2,1)} parameter(1)
  %slice-start = ((bf16[320,128]{1,0:T(8,128)(2,1)}), \
bf16[160,128]{1,0:T(8,128)(2,1)S(1)}, \
s32[]{:S(2)}) slice-start(%big), slice={[160:320], [0:128]}
  %half = bf16[160,128]{1,0:T(8,128)(2,1)S(1)} slice-done(%slice-start)
  %fused = bf16[8,128]{1,0:T(8,128)(2,1)} fusion(%x, %half), \
kind=kOutput, calls=%inner, metadata={op_name="model/conv"}, \
backend_config={"estimated_cycles":"77"}
  ROOT %out = (bf16[8,128]{1,0:T(8,128)(2,1)}) tuple(%fused)
}
"""


@pytest.fixture(name='benchmarks')
def _benchmarks(monkeypatch):
  """A function that imports a file of benchmarks/, as the commands there do."""
  monkeypatch.syspath_prepend(str(BENCHMARKS))
  before = set(sys.modules)
  yield importlib.import_module
  for name in set(sys.modules) - before:
    if name.startswith('tpu_'):
      del sys.modules[name]


def test_bytes_of_a_program(benchmarks):
  slice_, convolution = benchmarks('tpu_traffic').movements(PROGRAM)
  assert (slice_.kind, slice_.name) == ('slice-start', 'slice-start')
  assert slice_.moved == (160 * 128 * 2, 160 * 128 * 2)
  assert (slice_.cycles, convolution.cycles) == (0, 77)
  assert (convolution.kind, convolution.of) == ('convolution', 'model/conv')
  assert convolution.moved == ((8 * 256 + 8 * 128) * 2, 160 * 128 * 2)


def _lowered(function, *arguments):
  compiled = tf.function(function, jit_compile=True)
  return compiled.experimental_get_compiler_ir(*arguments)(
    stage='hlo_serialized'
  )


def test_dynamic_sizes_are_found(benchmarks):
  find = benchmarks('tpu_hlo').dynamic_operations
  values = tf.range(8.0)
  assert not find(_lowered(lambda x: x[: tf.shape(x)[0] // 2], values))
  assert any(
    'boolean_mask' in name
    for name in find(_lowered(lambda x: tf.boolean_mask(x, x > 2), values))
  )


def test_fingerprints_tell_programs_apart(benchmarks):
  fingerprint = benchmarks('tpu_hlo').fingerprint
  values = tf.range(8.0)
  one, again, other = (
    fingerprint(_lowered(function, values))
    for function in (lambda x: x + 1.0, lambda y: y + 1.0, lambda x: x + 2.0)
  )
  assert one == again != other
