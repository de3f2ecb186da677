"""Tests of the values of a network that is trained without a teacher."""

import operator

from uncertainty_distill import configs

from refusals import refused

_SINGLE = 'task.model.ensemble_size=1,'


def _single(text):
  config = configs.load_config('digits_wrn10_1', params_override=_SINGLE + text)
  return configs.standalone_config(config)


def test_a_single_network_takes_what_is_set():
  values = {
    'trainer.epochs': 1,
    'trainer.decay_fractions': (0.5,),
    'task.model.width': 2,
    'task.model.depth': 16,
    'task.l2': 0.5,
    'task.train_data.global_batch_size': 32,
  }
  for name, value in values.items():
    shown = str(value) if not isinstance(value, tuple) else '[0.5]'
    got = _single(f'{name}={shown}')
    assert operator.attrgetter(name)(got) == value
    # The other values are those of the teacher's members.
    assert got.task.train_data.augmentation_seed == -1
    assert name == 'task.l2' or got.task.l2 == 2e-4
  assert _single('teacher.epochs=3').trainer.epochs == 3
  assert _single('teacher.epochs=3,trainer.epochs=3').trainer.epochs == 3
  with refused('trainer.epochs', 2, '3'):
    _single('teacher.epochs=3,trainer.epochs=2')


def test_python_may_set_the_usual_value_too():
  config = configs.load_config('digits_wrn10_1')
  config.task.model.ensemble_size = 1
  config.task.l2 = 3e-4
  assert configs.standalone_config(config).task.l2 == 3e-4
  # Only values that were not set are those of the teacher's members.
  assert _single('').task.l2 == 2e-4


def test_a_file_of_all_values_is_no_choice_of_them():
  whole = configs.load_config('digits_wrn10_1').as_dict()
  whole['task']['model']['width'] = 2
  config = configs.load_config('digits_wrn10_1')
  configs.override(config, whole, 'params.yaml')
  config.task.model.ensemble_size = 1
  lone = configs.standalone_config(config)
  assert (lone.task.model.width, lone.task.l2) == (2, 2e-4)


def test_fields_of_an_architecture_are_set_one_by_one():
  lone = _single('task.model.width=1,teacher.depth=16')
  assert (lone.task.model.depth, lone.task.model.width) == (16, 1)


_MOBILE = '{0}.architecture.type=keras_application,{0}.application=MobileNetV2'


def test_a_single_network_has_the_architecture_that_is_set():
  of_model, of_teacher = map(_MOBILE.format, ('task.model', 'teacher'))
  for text in of_model, of_teacher, f'{of_model},{of_teacher}':
    model = _single(text).task.model
    assert model.architecture.type == 'keras_application', text
    assert model.application == 'MobileNetV2'
  other = 'task.model.architecture.type=custom,task.model.function=a:b'
  assert _single(other).task.model.function == 'a:b'
  with refused('task.model.architecture.type', 'custom', 'keras_application'):
    _single(f'{other},{of_teacher}')
  both = f'{of_model},{of_teacher},teacher.application=ResNet50,'
  with refused('task.model.application', 'VGG16', 'ResNet50'):
    _single(f'{both}task.model.application=VGG16')


def test_what_only_a_student_has_is_left_out_without_a_teacher():
  text = 'task.objective.weight_tie=0.1,task.train_data.unlabeled=tfds:a'
  config = configs.load_config('digits_wrn10_1', params_override=text)
  task = configs.standalone_config(config).task
  assert task.objective.kind == 'cross_entropy'
  assert not task.objective.weight_tie and not task.train_data.unlabeled
