"""Which operations of a compiled TPU program move how many bytes, and where.

The compiler's own sum does not tell the chip's HBM from the memory beside the
core (VMEM, which it marks as memory space 1). The optimized program says for
every tensor in which of them it lies.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

_ITEM_SIZES = {
  'pred': 1,
  's8': 1,
  'u8': 1,
  's16': 2,
  'u16': 2,
  'bf16': 2,
  'f16': 2,
  's32': 4,
  'u32': 4,
  'f32': 4,
  's64': 8,
  'u64': 8,
  'f64': 8,
}
_TENSOR = re.compile(r'(\w+)\[([\d,]*)\](?:\{([^}]*)\})?')
_INSTRUCTION = re.compile(
  r'^\s*(?:ROOT )?%(?P<name>\S+) = (?P<type>\(.*?\)|\S+) (?P<op>[\w-]+)\('
  r'(?P<arguments>.*)$'
)
_NAME = re.compile(r'%([\w.-]+)')
# These give a name to bytes that lie there already, or wait for a copy that was
# counted where it started.
_FREE = frozenset(
  (
    'after-all',
    'bitcast',
    'constant',
    'copy-done',
    'get-tuple-element',
    'parameter',
    'partition-id',
    'replica-id',
    'slice-done',
    'tuple',
  )
)


class Bytes(NamedTuple):
  """Bytes by where they are read or written."""

  hbm: int = 0
  vmem: int = 0

  def __add__(self, other: Bytes) -> Bytes:
    return Bytes(self.hbm + other.hbm, self.vmem + other.vmem)


class Movement(NamedTuple):
  """What one instruction reads and writes.

  Attributes:
    kind: Of operation: its opcode, or `convolution` for a fusion around one.
    name: Of the instruction.
    moved: Operands and results, each as often as it is named.
    cycles: The compiler's estimate of the time it takes the core; 0 where it
      gives none, as for copies that run beside other work.
    of: The name of the model's operation that it came from, where known.
  """

  kind: str
  name: str
  moved: Bytes
  cycles: int
  of: str


def _tensor_bytes(dtype: str, dimensions: str, layout: str) -> Bytes:
  """Bytes of a tensor in its layout, the padding of tiles included."""
  sizes = [int(size) for size in dimensions.split(',') if size]
  order, _, tiling = layout.partition(':')
  tile = re.match(r'T\(([\d,]+)\)', tiling)
  if sizes and order and tile:
    # The layout lists the axes from the innermost outwards.
    sizes = [sizes[int(axis)] for axis in order.split(',')]
    for place, unit in enumerate(reversed(tile[1].split(','))):
      if place < len(sizes):
        sizes[place] = -(-sizes[place] // int(unit)) * int(unit)
  total = math.prod(sizes) * _ITEM_SIZES.get(dtype, 0)
  return Bytes(vmem=total) if 'S(' in layout else Bytes(hbm=total)


def _type_bytes(text: str) -> list[Bytes]:
  """Bytes of each tensor of an instruction's type, which may be a tuple."""
  return [_tensor_bytes(*found) for found in _TENSOR.findall(text)]


def _computations(text: str) -> dict[str, list[str]]:
  """The lines of each computation by its name; the entry's is `ENTRY`."""
  computations, lines = {}, []
  for line in text.splitlines():
    if line.startswith(('%', 'ENTRY')) and line.endswith('{'):
      name = 'ENTRY' if line.startswith('ENTRY') else _NAME.match(line)[1]
      lines = computations.setdefault(name, [])
    else:
      lines.append(line)
  return computations


def _arguments(text: str) -> list[str]:
  """The operands' names out of what follows an opcode's parenthesis."""
  depth = 1
  for place, letter in enumerate(text):
    depth += (letter == '(') - (letter == ')')
    if not depth:
      return _NAME.findall(text[:place])
  return []


def _started_copy(tensors: list[Bytes]) -> Bytes:
  """Bytes of a copy between memories: the smaller one may be a slice."""
  source, target = tensors[:2]
  size = min(sum(source), sum(target))
  return Bytes(
    size * (bool(source.hbm) + bool(target.hbm)),
    size * (bool(source.vmem) + bool(target.vmem)),
  )


def movements(text: str) -> Iterator[Movement]:
  """Yields what each instruction of a program's entry computation moves.

  Loops and branches count once, by what goes in and comes out.

  Args:
    text: An optimized HLO module.
  """
  computations = _computations(text)
  convolving = {
    name
    for name, lines in computations.items()
    if any(' convolution(' in line for line in lines)
  }
  types = {}
  for line in computations['ENTRY']:
    found = _INSTRUCTION.match(line)
    if not found:
      continue
    name, op = found['name'], found['op']
    types[name] = _type_bytes(found['type'])
    if op in _FREE or 'ConcatBitcast' in line:
      continue
    if op in ('copy-start', 'slice-start'):
      moved = _started_copy(types[name])
    else:
      used = (types.get(n, []) for n in _arguments(found['arguments']))
      moved = sum(sum(used, types[name]), Bytes())
    called = re.search(r'calls=%([\w.-]+)', line)
    if called and called[1] in convolving:
      op = 'convolution'
    cycles = re.search(r'"estimated_cycles":"(\d+)"', line)
    source = re.search(r'op_name="([^"]*)"', line)
    yield Movement(
      op,
      name,
      moved,
      int(cycles[1]) if cycles else 0,
      source[1] if source else '',
    )
