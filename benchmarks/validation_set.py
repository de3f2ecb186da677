r"""Writes a dataset to choose hyper-parameters by, from training images alone.

  python benchmarks/validation_set.py --output=runs/cifar10_16px_choice.npz

Its training images are the first ones of CIFAR-10 in the published order,
averaged to 16x16 pixels; in the place of its test images are training images
of which no study makes another use. The study cifar10_16px_choice.yaml is on
this file.
"""

from uncertainty_distill import data

import numpy as np
from absl import app, flags

_OUTPUT = flags.DEFINE_string('output', None, 'The file.', required=True)
_NUM_EXAMPLES = flags.DEFINE_integer(
  'num_examples', 5000, 'The number of images to train on, and to choose by.'
)
# No study learns from later rows than 25,000.
_FIRST_HELD_OUT = 40_000


def main(_):
  source = data.open_dataset('cifar10', image_size=(16, 16)).train
  rows = {
    'train': np.arange(_NUM_EXAMPLES.value),
    'test': _FIRST_HELD_OUT + np.arange(_NUM_EXAMPLES.value),
  }
  arrays = {}
  for split, chosen in rows.items():
    arrays[f'{split}_images'] = source.numpy(chosen)
    arrays[f'{split}_labels'] = source.labels[chosen]
  np.savez(_OUTPUT.value, **arrays)


if __name__ == '__main__':
  app.run(main)
