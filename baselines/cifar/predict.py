r"""Predicts the classes of image files, with their uncertainty.

An IMAGE is a file, a folder of files, or a pattern in quotes. The command names
files that it cannot read on stderr, and ends with exit code 1 if there are any.

  python baselines/cifar/predict.py --model=runs/quickstart/saved_model a.png
"""

import dataclasses
import json
import sys

from uncertainty_distill.baselines.cifar import launch

# isort: split
from uncertainty_distill.api import image_files, predictor
from uncertainty_distill.errors import InputError

from absl import flags

_MODEL = flags.DEFINE_string(
  'model', None, 'The folder of a SavedModel or of a run.'
)
_JSON = flags.DEFINE_bool(
  'json',
  False,
  'Print a line of JSON with all probabilities for each image. Entropies are '
  'in nats.',
)

_HEADER = (
  'class',
  'confidence',
  'entropy',
  'mutual information',
  'votes',
  'image',
)


def main(arguments):
  path = launch.required('model', 'the folder of a SavedModel or of a run')
  if not arguments:
    raise InputError(
      'IMAGE',
      arguments,
      'at least one image file, folder or pattern',
      message='no IMAGE is given: name at least one file, folder or pattern',
    )
  paths = image_files.find_images(arguments)
  model = predictor.load(path)
  rows, num_unreadable = [], 0
  for prediction in image_files.predict_files(model, paths):
    if isinstance(prediction, image_files.UnreadableFile):
      num_unreadable += 1
      print(f'error: {prediction.image}: {prediction.reason}', file=sys.stderr)
    elif _JSON.value:
      print(json.dumps(dataclasses.asdict(prediction)))
    else:
      rows.append(_row(prediction))
  if rows:
    _print_table([_header(model), *rows])
  if num_unreadable:
    print(
      f'error: {num_unreadable} of {len(paths)} images could not be read',
      file=sys.stderr,
    )
    sys.exit(1)


def _header(model):
  return (*_HEADER[:-1], *(['set'] if model.has_sets else []), _HEADER[-1])


def _row(prediction):
  votes = ', '.join(f'{name} {n}' for name, n in prediction.votes.items())
  in_set = prediction.prediction_set
  label, name = str(prediction.label), prediction.class_name
  return (
    label if name == label else f'{label} {name}',
    f'{prediction.confidence:.3f}',
    f'{prediction.predictive_entropy:.3f}',
    f'{prediction.mutual_information:.3f}',
    votes,
    *([] if in_set is None else [', '.join(in_set)]),
    prediction.image,
  )


def _print_table(rows):
  widths = [max(map(len, column)) for column in zip(*rows)]
  for row in rows:
    cells = map(str.ljust, row, widths)
    print('  '.join(cells).rstrip())


if __name__ == '__main__':
  launch.run(main, takes_arguments=True)
