r"""Distills a deep ensemble into one BatchEnsemble student.

Without --teacher, the command first trains the teacher's members in model_dir.

  python baselines/cifar/distill.py --experiment=cifar10_wrn10_1 \
      --model_dir=runs/student --objective=head
"""

import functools
import logging
import os

from uncertainty_distill.baselines.cifar import launch

# isort: split
from uncertainty_distill import (
  distribution,
  evaluation,
  runs,
  trained,
  training,
)
from uncertainty_distill.baselines.cifar import finish
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files

import tensorflow as tf
from absl import flags

_logger = logging.getLogger('uncertainty_distill.distill')

flags.DEFINE_list(
  'teacher',
  [],
  'The trained teacher: one or more run folders or SavedModels, whose members '
  'together form the teacher; or .npz files of stored predictions '
  '(docs/teachers.md).',
)
flags.DEFINE_string(
  'teacher_cache',
  '',
  "A folder for the teacher's logits of augmented images: they are computed "
  'once and then read by every student, whatever its seed and objective.',
)
flags.DEFINE_enum(
  'objective',
  None,
  ['knowledge', 'head'],
  "knowledge: every member learns the mean of the teacher's members; head: "
  "member i learns the teacher's member i. By default, the objective of the "
  'experiment.',
)
launch.define_ray_flags()
launch.define_training_flags()
flags.adopt_module_key_flags(launch)


def main():
  config = launch.experiment_config(
    objective='task.objective.kind',
    teacher='task.objective.teacher',
    teacher_cache='task.objective.teacher_cache',
  )
  model_dir = launch.required('model_dir', 'a folder for the run')
  mode = flags.FLAGS.mode
  pool = _pool(config, model_dir)
  strategy = launch.strategy_for(config, training=mode != 'eval')
  if mode == 'eval':
    run = runs.open_run(model_dir, 'model_dir')
  experiment = training.open_experiment(config, strategy)
  if mode != 'eval':
    planned = experiment.config.task.objective
    # A complete student's teacher may be gone.
    if all(map(files.exists, planned.teacher)):
      systems = _systems(planned, experiment, model_dir)
      finish.check(systems, experiment, model_dir)
    run = training.distill(
      experiment, model_dir, mode != 'train', train_members=pool
    )
  systems = _systems(run.config.task.objective, experiment, model_dir)
  finish.evaluate_and_export(systems, experiment, model_dir, 'Distillation')


def _pool(config, model_dir):
  """Returns the function that trains a teacher with Ray; None without --ray."""
  if flags.FLAGS.ray is None:
    return None
  if flags.FLAGS.mode == 'eval' or config.task.objective.teacher:
    raise InputError(
      'ray',
      flags.FLAGS.ray,
      'left out when there is no teacher to train',
      message='--ray trains a teacher, but this command has no teacher to '
      'train: leave it out',
    )
  if config.runtime.tpu is not None:
    raise InputError(
      'tpu',
      config.runtime.tpu,
      'left out with --ray',
      message='--tpu cannot be given with --ray: this process trains the '
      'student, and would keep the TPU from the members; a study, with '
      'reproduce.py, trains both on the machines of the cluster',
    )
  for gpu in tf.config.list_physical_devices('GPU'):
    # This process leaves the memory to the members until it trains the
    # student.
    tf.config.experimental.set_memory_growth(gpu, True)
  return functools.partial(
    training.train_members,
    pool=launch.ray_pool(model_dir),
    show=distribution.RunTable(),
  )


def _systems(objective, experiment, model_dir):
  """Returns the teacher and the student of a report, trained or not.

  If the teacher is gone, the list is empty where there is a report already,
  whose results of the teacher could not be computed again.
  """
  student = evaluation.System(f'{objective.kind}_student', None, (model_dir,))
  gone = [path for path in objective.teacher if not files.exists(path)]
  if not gone:
    label = _teacher_label(objective.teacher, experiment)
    return [evaluation.System(label, None, objective.teacher), student]
  if files.exists(os.path.join(model_dir, 'results.json')):
    _logger.warning(f'the report stays as it is, since {gone[0]} is gone')
    return []
  _logger.warning(f'the report has no teacher, since {gone[0]} is gone')
  return [student]


# Before and after training: a SavedModel takes long to load.
@functools.cache
def _teacher_label(paths, experiment):
  """Returns a teacher's label in the report."""
  if not paths:  # It will be trained.
    size = experiment.config.teacher.ensemble_size
    return 'deep_ensemble' if size > 1 else 'teacher'
  teacher = trained.open_trained(paths, 'teacher')
  # A run of several members is one BatchEnsemble.
  if len(paths) == 1 and runs.is_run(paths[0]):
    return 'teacher'
  if len(paths) == 1 and not trained.is_predictions(paths[0]):
    images, spec = experiment.dataset.train, experiment.dataset.spec
    teacher.check_fits(
      spec.image_shape, spec.num_classes, lambda: images.numpy(slice(32))
    )
  several = len(paths) > 1 or teacher.ensemble_size > 1
  return 'deep_ensemble' if several else 'teacher'


if __name__ == '__main__':
  launch.run(main)
