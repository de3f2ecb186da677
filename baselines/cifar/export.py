r"""Writes a SavedModel that serves predictions with their uncertainty.

python baselines/cifar/export.py --run=runs/student --output_dir=served/1
"""

import os

from uncertainty_distill.baselines.cifar import launch

# isort: split
from uncertainty_distill import exporting, trained
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files

from absl import flags

_RUN = flags.DEFINE_list(
  'run', [], 'Run folders or SavedModels; several form one deep ensemble.'
)
_OUTPUT_DIR = flags.DEFINE_string(
  'output_dir', None, 'The folder for the SavedModel.'
)
_TEMPERATURE = flags.DEFINE_enum(
  'temperature',
  None,
  ['fit'],
  'fit: divide the logits by the temperature with the lowest NLL on examples '
  'that no model was trained on.',
)
_CALIBRATION = flags.DEFINE_string(
  'calibration',
  '',
  'An .npz with images and labels that are neither in the training nor in the '
  'test set. By default, the training examples that the runs held out.',
)
_CONFORMAL = flags.DEFINE_float(
  'conformal',
  None,
  'Add prediction sets, which miss the right class for at most this share of '
  'images, such as 0.1. They are calibrated on examples that no model was '
  'trained on.',
)
_CONFORMAL_METHOD = flags.DEFINE_enum(
  'conformal_method',
  'lac',
  ['lac', 'aps', 'raps'],
  'How the classes of a set are chosen: lac gives the smallest sets; aps gives '
  'sets whose size tells how hard an image is; raps is like aps, but leaves '
  'out very unlikely classes.',
)
_TFLITE = flags.DEFINE_string(
  'tflite',
  '',
  'Also write a TensorFlow Lite file, and compare it with the model on test '
  'images.',
)
_MERGE_MEMBERS = flags.DEFINE_bool(
  'merge_members',
  False,
  "Average the members of a run's BatchEnsemble into one plain network, which "
  'costs as much to run as one member, and show what this loses on test '
  'images.',
)
launch.define_check_flag()
flags.adopt_module_key_flags(launch)


def _check_flags(paths: list[str], directory: str) -> None:
  """Raises an InputError if flags are wrong or do not go together."""
  if _CONFORMAL_METHOD.present and _CONFORMAL.value is None:
    raise InputError(
      'conformal_method',
      _CONFORMAL_METHOD.value,
      'left out without --conformal',
      message='--conformal_method has no effect without --conformal',
    )
  if _CONFORMAL.value is not None:
    trained.check_set_options(
      'conformal', _CONFORMAL.value, _CONFORMAL_METHOD.value
    )
  if _CALIBRATION.value and not _TEMPERATURE.value and not _CONFORMAL.value:
    raise InputError(
      'calibration',
      _CALIBRATION.value,
      'left out, or used by --temperature=fit or --conformal',
      message='--calibration has no effect without --temperature=fit or '
      '--conformal',
    )
  if _MERGE_MEMBERS.value and _TFLITE.value:
    raise InputError(
      'tflite',
      _TFLITE.value,
      'left out with --merge_members',
      message='--tflite and --merge_members cannot be combined: leave one out',
    )
  if _TFLITE.value:
    exporting.check_tflite_file(_TFLITE.value)
    target, file, *given = (
      os.path.realpath(files.absolute(path))
      for path in (directory, _TFLITE.value, *paths)
    )
    if file != target and files.is_within(file, target):
      raise InputError(
        'tflite',
        _TFLITE.value,
        'a file outside of the exported folder, which holds nothing else',
      )
    if target in given:
      # The export would put the temperature into that model, and the TensorFlow
      # Lite file would then apply the temperature once more.
      raise InputError(
        'output_dir',
        directory,
        'a folder other than that of the exported model with --tflite',
      )


def main():
  directory = launch.required('output_dir', 'a folder for the SavedModel')
  paths = launch.required('run', 'a run folder')
  _check_flags(paths, directory)
  fitted = exporting.export(
    paths,
    directory,
    exporting.ExportOptions(
      bool(_TEMPERATURE.value),
      _CALIBRATION.value,
      flags.FLAGS.check_labels is not False,
      _CONFORMAL.value or 0.0,
      _CONFORMAL_METHOD.value,
      _MERGE_MEMBERS.value,
    ),
  )
  if fitted:
    print(
      f'Temperature: {fitted.temperature:.3f}, NLL {fitted.nll_before:.4f} '
      f'before and {fitted.nll_after:.4f} after, on {fitted.num_examples} '
      f'examples: {fitted.source}'
    )
  if _MERGE_MEMBERS.value:
    print(exporting.compare_merged(paths))
  sets = trained.open_trained([directory], 'output_dir').prediction_sets
  if sets:
    print(
      f'Prediction sets: {sets.method} at {sets.alpha:g}, threshold '
      f'{sets.threshold:.4f}, on {sets.num_examples} examples: {sets.source}'
    )
  if _TFLITE.value:
    print(exporting.export_tflite(paths, directory, _TFLITE.value, fitted))
    print(f'TensorFlow Lite: {_TFLITE.value}')
  print(f'SavedModel: {directory}')


if __name__ == '__main__':
  launch.run(main)
