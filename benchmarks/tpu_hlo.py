"""What is to be known of a program before it is compiled for a TPU."""

from __future__ import annotations

import hashlib
from typing import Any

# Imported first: it selects Keras 2, which must precede TensorFlow's import.
import uncertainty_distill  # pylint: disable=unused-import

from tensorflow.compiler.xla.service import hlo_pb2


def _is_dynamic(shape: Any) -> bool:
  """Tells whether a ShapeProto has a size that is known at run time only."""
  return any(shape.is_dynamic_dimension) or any(
      map(_is_dynamic, shape.tuple_shapes)
  )


def dynamic_operations(hlo: bytes) -> list[str]:
  """Returns where in the model sizes are known at run time only, sorted.

  A TPU computes with the largest size that they may have.
  """
  module = hlo_pb2.HloModuleProto.FromString(hlo)
  return sorted({
      instruction.metadata.op_name or instruction.name
      for computation in module.computations
      for instruction in computation.instructions
      if _is_dynamic(instruction.shape)
  })


def fingerprint(hlo: bytes) -> str:
  """Returns a name of a program that does not depend on where it was traced."""
  module = hlo_pb2.HloModuleProto.FromString(hlo)
  for field in 'name', 'id', 'entry_computation_name', 'stack_frame_index':
    module.ClearField(field)
  for computation in module.computations:
    # They call each other by number; a name counts what was traced before.
    computation.name = ''
    for instruction in computation.instructions:
      instruction.ClearField('metadata')
  text = module.SerializeToString(deterministic=True)
  return hashlib.sha256(text).hexdigest()[:16]
