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
  'Einsum': lambda op: _contracted(op),
  # A transposed convolution; for each number of its input.
  'Conv2DBackpropInput': lambda op: math.prod(op.inputs[1].shape[:3]),
}


def forward_flops(model: tf_keras.Model) -> int:
  """Returns the FLOPs of one image in one forward pass.

  The multiplications and additions of convolutions and matrix products count,
  each time that a layer is called, with depthwise and transposed convolutions
  and `tf.einsum`. A multiplication and its addition are two FLOPs. All other
  operations are small in comparison.

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
      is_transposed = op.type == 'Conv2DBackpropInput'
      counted = op.inputs[2] if is_transposed else op.outputs[0]
      numbers = math.prod(size or 1 for size in counted.shape)
      total += numbers * _PRODUCTS[op.type](op)
    elif op.type in ('PartitionedCall', 'StatefulPartitionedCall'):
      total += _products(graph._get_function(op.get_attr('f').name).graph)
  return total


def _contracted(op):
  """Returns the product of the sizes that an einsum sums over."""
  terms, _, output = op.get_attr('equation').decode().partition('->')
  sizes = {}
  for term, tensor in zip(terms.split(','), op.inputs):
    shape = list(tensor.shape)
    left, _, right = term.partition('...')
    sizes |= dict(zip(left, shape))
    sizes |= dict(zip(reversed(right), reversed(shape)))
  return math.prod(n or 1 for label, n in sizes.items() if label not in output)


def _inner(op, transposed):
  """Returns the length of the dot products of a matrix product."""
  return op.inputs[0].shape[-2 if op.get_attr(transposed) else -1]
