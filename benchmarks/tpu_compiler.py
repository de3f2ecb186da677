r"""Compiles an HLO module for a TPU that need not be there.

Prints the compiler's figures for the program as JSON. The compiler runs in a
process of its own because JAX and TensorFlow each bring a runtime, and because
a compiler that runs out of memory ends its process.

  python benchmarks/tpu_compiler.py step.hlo --tpu=v5e
"""

from __future__ import annotations

import argparse
import collections
import importlib.metadata
import json
import os
import pathlib
from typing import Any, NamedTuple

# There is no TPU to ask, and other processes may compile at the same time.
os.environ.setdefault('TPU_SKIP_MDS_QUERY', '1')
os.environ.setdefault('ALLOW_MULTIPLE_LIBTPU_LOAD', '1')
os.environ.setdefault('JAX_PLATFORMS', 'cpu')


class Tpu(NamedTuple):
  """A device, with the figures of Google Cloud's documentation.

  Attributes:
    topology: The name of the smallest slice that can be compiled for.
    flops: Peak FLOP/s of a chip in bfloat16.
    bandwidth: The bandwidth of a chip's HBM in bytes/s.
    hbm: The size of a chip's HBM in bytes.
  """

  topology: str
  flops: float
  bandwidth: float
  hbm: float


# A v4 chip has two cores that are programmed as one ("megacore"), so that a
# device is one chip for every version.
TPUS = {
  'v4': Tpu('v4:2x2x1', 275e12, 1228e9, 32e9),
  'v5e': Tpu('v5e:2x2', 197e12, 819e9, 16e9),
  'v6e': Tpu('v6e:2x2', 918e12, 1640e9, 32e9),
}


def versions() -> dict[str, str]:
  """Returns the versions of the packages that compile.

  Raises:
    PackageNotFoundError: If one of the packages is not installed.
  """
  names = 'jaxlib', 'libtpu'
  return {name: importlib.metadata.version(name) for name in names}


def _compile(hlo: bytes, tpu: Tpu) -> Any:
  """Returns JAX's executable of a serialized HloModuleProto."""
  import numpy as np
  from jax.experimental import topologies
  from jaxlib import _jax, xla_client

  device = topologies.get_topology_desc(
    platform='tpu', topology_name=tpu.topology
  ).devices[0]
  options = xla_client.CompileOptions()
  options.num_replicas = 1
  options.num_partitions = 1
  options.device_assignment = xla_client.DeviceAssignment.create(
    np.array([[device.id]])
  )
  return device.client.compile(
    _jax.mlir.hlo_to_stablehlo(hlo),
    executable_devices=xla_client.DeviceList((device,)),
    compile_options=options,
  )


def figures(hlo: bytes, tpu: str, program: str = '') -> dict[str, Any]:
  """Compiles for one device and returns the compiler's figures.

  Args:
    hlo: A serialized HloModuleProto.
    tpu: A key of `TPUS`.
    program: Where to write the optimized program's text; empty for nowhere.

  Returns:
    Only `error` if the program does not fit into the memory. Otherwise `memory`
    (bytes of HBM for arguments, temporaries, and results that do not overwrite
    arguments), `arguments`, `temporaries`, `flops`, `moved` (bytes that
    operations read and write in any memory), `hbm` (bytes that operations read
    and write in HBM), `cycles` (the compiler's estimate), and `by_kind` (bytes
    in HBM and in VMEM by kind of operation).
  """
  import tpu_traffic
  from jax.errors import JaxRuntimeError

  try:
    executable = _compile(hlo, TPUS[tpu])
  except JaxRuntimeError as error:
    if 'RESOURCE_EXHAUSTED' not in str(error):
      raise
    return {'error': str(error).splitlines()[0][:300]}
  memory = executable.get_compiled_memory_stats()
  cost = executable.cost_analysis()
  (module,) = executable.hlo_modules()
  text = module.to_string()
  if program:
    pathlib.Path(program).write_text(text, encoding='utf-8')
  by_kind, cycles = collections.defaultdict(tpu_traffic.Bytes), 0
  for movement in tpu_traffic.movements(text):
    by_kind[movement.kind] += movement.moved
    cycles += movement.cycles
  results = memory.output_size_in_bytes - memory.alias_size_in_bytes
  return {
    'memory': memory.argument_size_in_bytes
    + results
    + memory.temp_size_in_bytes,
    'arguments': memory.argument_size_in_bytes,
    'temporaries': memory.temp_size_in_bytes,
    'flops': cost['flops'],
    'moved': cost['bytes accessed'],
    'hbm': sum(moved.hbm for moved in by_kind.values()),
    'cycles': cycles,
    'by_kind': by_kind,
  }


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('hlo', help='a serialized HloModuleProto')
  parser.add_argument('--tpu', choices=TPUS, default='v5e')
  parser.add_argument('--program', default='', help='where to write its text')
  arguments = parser.parse_args()
  hlo = pathlib.Path(arguments.hlo).read_bytes()
  print(json.dumps(figures(hlo, arguments.tpu, arguments.program)))


if __name__ == '__main__':
  main()
