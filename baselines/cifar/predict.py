r"""Predicts the class of image files, with the uncertainty.

  python baselines/cifar/predict.py --model=runs/quickstart/saved_model a.png
"""

from absl import flags
import numpy as np
from PIL import Image
from uncertainty_distill.baselines.cifar import launch
from uncertainty_distill.errors import InputError
import tensorflow as tf

_MODEL = flags.DEFINE_string('model', None, 'The folder of the SavedModel.')


def main(paths):
  directory = launch.required('model', 'the folder of a SavedModel')
  if not paths:
    raise InputError('IMAGE', '', 'at least one image file')
  try:
    serve = tf.saved_model.load(directory).signatures['serving_default']
  except (OSError, KeyError) as error:
    raise InputError('--model', directory, 'a SavedModel') from error
  height, width = serve.structured_input_signature[1]['images'].shape[1:3]
  images = np.stack([_read(path, (width, height)) for path in paths])
  served = {k: v.numpy() for k, v in serve(images=images).items()}
  print('label  confidence  entropy (nats)  members\' labels  image')
  for row, path in enumerate(paths):
    probs = served['probabilities'][row]
    votes = served['member_probabilities'][row].argmax(-1)
    print(
        f'{probs.argmax():5d}  {probs.max():10.3f}  '
        f'{served["predictive_entropy"][row]:14.3f}  '
        f'{" ".join(map(str, votes)):>15s}  {path}'
    )


def _read(path, size):
  """Returns an image file as uint8 [H, W, 3]."""
  try:
    with Image.open(path) as image:
      return np.asarray(image.convert('RGB').resize(size, Image.BILINEAR))
  except OSError as error:
    raise InputError('IMAGE', path, 'a readable image file') from error


if __name__ == '__main__':
  launch.run(main, takes_arguments=True)
