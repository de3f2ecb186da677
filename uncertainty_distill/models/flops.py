"""Counts the arithmetic operations of a network."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras

# From an operation to the multiplications for each number of its output.
_PRODUCTS: dict[str, Callable[[Any], int]] = {
  'Conv2D': lambda op: math.prod(op.inputs[1].shape[:3]),
  'Conv3D': lambda op: math.prod(op.inputs[1].shape[:4]),
  'DepthwiseConv2dNative': lambda op: math.prod(op.inputs[1].shape[:2]),
  'MatMul': lambda op: _inner(op, 'transpose_a'),
  'BatchMatMulV2': lambda op: _inner(op, 'adj_x'),
}


def forward_flops(model: tf_keras.Model) -> int:
  """Returns the FLOPs of one image in one forward pass.

  The multiplications and additions of convolutions, depthwise convolutions and
  matrix products count, each time that a layer is called. A multiplication and
  its addition are two FLOPs. Transposed convolutions are not counted, and
  neither is `tf.einsum`, which MultiHeadAttention uses. All other operations
  are small in comparison.

  Args:
    model: A plain network of images [B, H, W, C], with known H, W and C.
  """
  inputs = [
    tf.TensorSpec([1, *x.shape[1:]], x.dtype) for x in model.inputs or []
  ]
  function = tf.function(
    lambda *images: model(images[0], training=False), autograph=False
  ).get_concrete_function(*inputs)
  return 2 * _products(function.graph)


def _products(graph):
  """Returns the multiplications of a graph and of the functions it calls."""
  total = 0
  for op in graph.get_operations():
    if op.type in _PRODUCTS:
      # The batch size, 1, may be unknown in functions that layers contain.
      numbers = math.prod(size or 1 for size in op.outputs[0].shape)
      total += numbers * _PRODUCTS[op.type](op)
    elif op.type in ('PartitionedCall', 'StatefulPartitionedCall'):
      total += _products(graph._get_function(op.get_attr('f').name).graph)
  return total


def _inner(op, transposed):
  """Returns the length of the dot products of a matrix product."""
  return op.inputs[0].shape[-2 if op.get_attr(transposed) else -1]
