"""Makes the HLO programs of steps, which are to be compiled for a TPU."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from typing import Any

from uncertainty_distill import configs

import systems

# After the package, which selects Keras 2 for TensorFlow.
import tensorflow as tf
from tensorflow.compiler.xla.service import hlo_pb2


def _is_dynamic(shape: Any) -> bool:
  """Returns whether a ShapeProto has a size that is known only at run time."""
  return any(shape.is_dynamic_dimension) or any(
    map(_is_dynamic, shape.tuple_shapes)
  )


def dynamic_operations(hlo: bytes) -> list[str]:
  """Returns the operations whose sizes are known only at run time, sorted.

  A TPU computes with the largest size that is possible.
  """
  module = hlo_pb2.HloModuleProto.FromString(hlo)
  return sorted(
    {
      instruction.metadata.op_name or instruction.name
      for computation in module.computations
      for instruction in computation.instructions
      if _is_dynamic(instruction.shape)
    }
  )


def fingerprint(hlo: bytes) -> str:
  """Returns a hash of a program that does not depend on where it was traced."""
  module = hlo_pb2.HloModuleProto.FromString(hlo)
  for field in 'name', 'id', 'entry_computation_name', 'stack_frame_index':
    module.ClearField(field)
  for computation in module.computations:
    # Computations call each other by number. Their names count what was traced
    # before.
    computation.name = ''
    for instruction in computation.instructions:
      instruction.ClearField('metadata')
  text = module.SerializeToString(deterministic=True)
  return hashlib.sha256(text).hexdigest()[:16]


class Steps:
  """The training and the evaluation step of one system."""

  def __init__(self, config: configs.ExperimentConfig, name: str):
    """Builds the model, its teacher and its optimizer.

    Args:
      config: The resolved experiment, whose `runtime.mixed_precision_dtype` is
        the type to compute in.
      name: The name of the system, a key of `systems.SYSTEMS`.
    """
    self._config = config
    self._system = systems.SYSTEMS[name]
    config = copy.deepcopy(config)
    if config.task.model.perturb == 'auto':
      # What `auto` means on a TPU. Here `auto` would choose for the CPU, which
      # traces the step.
      config.task.model.perturb = 'activations'
    self._trainer = systems.build_trainer(config, self._system)

  def lower(self, step: str, examples: int) -> bytes:
    """Returns the HLO of a step, a serialized HloModuleProto.

    Args:
      step: One of `systems.STEPS`.
      examples: The number of distinct examples in the batch of a core.

    Raises:
      ValueError: If a size in the program is known only at run time.
    """
    run: Callable = (
      self._trainer.train_step if step == 'train' else self._trainer.eval_step
    )

    @tf.function(jit_compile=True, autograph=False)
    def compiled(inputs):
      run(iter([inputs]))

    inputs = systems.batch(self._config, self._system, step, examples)
    hlo = compiled.experimental_get_compiler_ir(inputs)(stage='hlo_serialized')
    dynamic = dynamic_operations(hlo)
    if dynamic:
      raise ValueError(f'dynamic shapes in {", ".join(dynamic)}')
    return hlo
