"""Counts the bytes that the operations of a compiled TPU program move.

The compiler's own sum does not distinguish the chip's HBM from the memory
beside the core (VMEM, which the compiler marks as memory space 1). The
optimized program says for every tensor which of the two memories holds it.
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
# These operations name bytes that are already in memory, or wait for a copy
# that was counted at its start.
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
  """Bytes by the memory in which they are read or written."""

  hbm: int = 0
  vmem: int = 0

  def __add__(self, other: Bytes) -> Bytes:
    return Bytes(self.hbm + other.hbm, self.vmem + other.vmem)


class Movement(NamedTuple):
  """What one instruction reads and writes.

  Attributes:
    kind: The opcode, or `convolution` for a fusion around a convolution.
    name: The name of the instruction.
    moved: The bytes of operands and results, each counted as often as it is
      named.
    cycles: The compiler's estimate of the core's time; 0 where the compiler
      gives no estimate, as for copies that run beside other work.
    of: The name of the model's operation that the instruction came from; empty
      if unknown.
  """

  kind: str
  name: str
  moved: Bytes
  cycles: int
  of: str


def _tensor_bytes(dtype: str, dimensions: str, layout: str) -> Bytes:
  """Returns the bytes of a tensor in its layout, with the padding of tiles."""
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
  """Returns the bytes of each tensor in a type, which may be a tuple."""
  return [_tensor_bytes(*found) for found in _TENSOR.findall(text)]


def _computations(text: str) -> dict[str, list[str]]:
  """Returns the lines of each computation by name, `ENTRY` for the entry."""
  computations, lines = {}, []
  for line in text.splitlines():
    if line.startswith(('%', 'ENTRY')) and line.endswith('{'):
      name = 'ENTRY' if line.startswith('ENTRY') else _NAME.match(line)[1]
      lines = computations.setdefault(name, [])
    else:
      lines.append(line)
  return computations


def _arguments(text: str) -> list[str]:
  """Returns the operands' names from the text after an opcode's parenthesis."""
  depth = 1
  for place, letter in enumerate(text):
    depth += (letter == '(') - (letter == ')')
    if not depth:
      return _NAME.findall(text[:place])
  return []


def _started_copy(tensors: list[Bytes]) -> Bytes:
  """Returns the bytes of a copy, which has the size of the smaller tensor.

  The smaller tensor may be a slice of the other.
  """
  source, target = tensors[:2]
  size = min(sum(source), sum(target))
  return Bytes(
    size * (bool(source.hbm) + bool(target.hbm)),
    size * (bool(source.vmem) + bool(target.vmem)),
  )


def movements(text: str) -> Iterator[Movement]:
  """Yields what each instruction of a program's entry computation moves.

  Loops and branches count once, by their operands and results.

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
