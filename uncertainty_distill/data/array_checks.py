"""Checks of users' arrays, with hints on how to fix arrays that do not fit.

The hints recognize the layouts of other libraries: Keras's labels [N, 1],
one-hot labels, MedMNIST's several labels per image, gray images [N, H, W], and
PyTorch's images with the channels first [N, C, H, W].
"""

from __future__ import annotations

from uncertainty_distill.errors import InputError

import numpy as np

# More classes than any dataset has. Each class takes a row of weights.
_MAX_CLASSES = 2**16
_NUMBER = 'number the classes: np.unique(labels, return_inverse=True)[1]'


def check_labels(
  labels: np.ndarray, name: str, num_examples: int, num_classes: int = 0
) -> None:
  """Raises an InputError unless labels are integers [N] of at least 0.

  Args:
    labels: An array of any kind.
    name: The name of the parameter or array that holds them, for the error.
    num_examples: The number of examples N.
    num_classes: The number of classes K, which is above every label; 0 if it is
      not known.
  """
  fits = labels.shape == (num_examples,)
  if not fits or not np.issubdtype(labels.dtype, np.integer):
    raise InputError(
      name,
      f'{labels.dtype} {list(labels.shape)}',
      f'integers [{num_examples}], a label for each image',
      _label_hint(labels, num_examples),
    )
  wrong = labels < 0
  if num_classes:
    wrong |= labels >= num_classes
  if wrong.any():
    first = int(np.argmax(wrong))
    largest = num_classes - 1 if num_classes else 'K - 1'
    raise InputError(
      name,
      int(labels[first]),
      f'from 0 to {largest}',
      f'the label of example {first} is out of range'
      + (', and so are others' if wrong.sum() > 1 else '')
      + _marker_hint(labels[wrong]),
    )
  if labels.size and labels.max() >= _MAX_CLASSES:
    raise InputError(
      name, int(labels.max()), f'less than {_MAX_CLASSES}', _NUMBER
    )


def _marker_hint(wrong: np.ndarray) -> str:
  """Returns what to do if all labels that are out of range are -1."""
  if (wrong != -1).any():
    return ''
  return '; if -1 marks images without a class, leave those images out'


def _label_hint(labels: np.ndarray, num_examples: int) -> str:
  """Returns how to fix labels of a wrong shape or type; may be empty."""
  shape = labels.shape
  if labels.dtype.kind in 'US':
    return _NUMBER
  if shape == (num_examples, 1):
    return 'write labels[:, 0]'
  if len(shape) == 2 and shape[0] == num_examples:
    if not np.isin(labels, (0, 1)).all():
      return ''
    if (labels.sum(1) == 1).all():
      return 'they look one-hot: write labels.argmax(1)'
    return (
      'they look like several labels per image, which this package cannot '
      'learn: choose one label for each image'
    )
  if shape == (num_examples,) and labels.dtype.kind in 'fb':
    if (labels == np.round(labels)).all():
      return 'write labels.astype(int)'
  return ''


def image_hint(images: np.ndarray) -> str:
  """Returns how to make images uint8 [N, H, W, 3]; empty if it is unknown."""
  steps, shape = [], images.shape
  if len(shape) == 2:
    steps.append('give the images their shape: images.reshape(N, H, W, 3)')
  if len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3):
    steps.append('put the channels last: images.transpose(0, 2, 3, 1)')
    shape = (shape[0], *shape[2:], shape[1])
  if len(shape) == 3 and shape[2] not in (3, 4):
    steps.append('repeat gray: np.repeat(images[..., None], 3, -1)')
  elif len(shape) == 4 and shape[3] == 1:
    steps.append('repeat gray: np.repeat(images, 3, -1)')
  elif len(shape) == 4 and shape[3] == 4:
    steps.append('leave out the transparency: images[..., :3]')
  if images.dtype.kind == 'f' and images.size:
    low, high = images.min(), images.max()
    if low >= 0 and high <= 1:
      steps.append('scale 0..1: (images * 255).round().astype(np.uint8)')
    elif low >= 0 and high <= 255:
      steps.append('round: images.round().astype(np.uint8)')
    else:
      steps.append(f'undo the normalization: values of {low:.3g} to {high:.3g}')
  elif images.dtype.kind in 'iu' and images.dtype != np.uint8 and images.size:
    if images.min() >= 0 and images.max() <= 255:
      steps.append('write images.astype(np.uint8)')
    elif images.dtype == np.uint16:
      steps.append('scale 16 bits: (images // 257).astype(np.uint8)')
  return '; '.join(steps)
