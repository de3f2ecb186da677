"""Tests of the values that a single network takes, and of unused values."""

import logging
import operator

from uncertainty_distill import configs

import pytest
from refusals import refused

_SINGLE = 'task.model.ensemble_size=1,'


def _single(text):
  config = configs.load_config('digits_wrn10_1', params_override=_SINGLE + text)
  return configs.without_teacher(config)


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
  assert configs.without_teacher(config).task.l2 == 3e-4
  # Only values that were not set are those of the teacher's members.
  assert _single('').task.l2 == 2e-4


def test_a_file_of_all_values_is_no_choice_of_them():
  whole = configs.load_config('digits_wrn10_1').as_dict()
  whole['task']['model']['width'] = 2
  config = configs.load_config('digits_wrn10_1')
  configs.override(config, whole, 'params.yaml')
  config.task.model.ensemble_size = 1
  lone = configs.without_teacher(config)
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


def test_a_teacher_s_architecture_without_use_is_named(caplog):
  text = _MOBILE.format('teacher')
  config = configs.load_config('digits_wrn10_1', params_override=text)
  configs.warn_of_unused(config, trains_alone=True)
  assert 'teacher.application' in caplog.text


_ADAM = configs.ADAM.split('set ')[1]


@pytest.mark.parametrize(
  'text, names',
  [
    ('task.seed=3,trainer.epochs=2', []),
    ('task.objective.weight=0.5', ['task.objective.weight']),
    ('task.objective.kind=head,teacher.epochs=2', ['task.objective.kind']),
    ('task.model.rank=2', ['task.model.rank']),
    ('task.model.rank=1', []),
    ('teacher.search.num_runs=9', ['teacher.search.num_runs']),
    (f'{_ADAM},trainer.momentum=0.5', ['trainer.momentum']),
    ('trainer.train_steps=9,trainer.epochs=3', ['trainer.epochs']),
    ('trainer.train_steps=9,teacher.epochs=3', ['teacher.epochs']),
    ('task.block_l2=[0,0,0,0,0,0],task.l2=1', ['task.l2']),
    ('task.initialize_from=[a]', ['task.initialize_from']),
    ('runtime.run_eagerly=true', ['runtime.run_eagerly']),
    (
      'task.model.architecture.type=custom,task.model.function=a:b,'
      'task.model.sync_batch_norm=true',
      ['task.model.sync_batch_norm'],
    ),
    ('runtime.mixed_precision_dtype=bfloat16', []),
    ('task.fast_weight_decay=0.1', ['task.fast_weight_decay']),
    (
      'task.train_data.skip_broken=true,task.train_data.image_cache=a',
      ['task.train_data.image_cache, task.train_data.skip_broken'],
    ),
    (
      'task.train_data.skip_broken=true,evaluation.out_of_distribution=a/b',
      [],
    ),
  ],
)
def test_values_without_use_are_named(text, names, caplog):
  config = configs.load_config('digits_wrn10_1', params_override=_SINGLE + text)
  with caplog.at_level(logging.WARNING):
    configs.warn_of_unused(config, trains_alone=True)
  lines = [record.getMessage() for record in caplog.records]
  assert [line.split(': ')[1] for line in lines] == (
    names and [', '.join(names)]
  )


@pytest.mark.parametrize(
  'text, names',
  [
    (
      'task.objective.perturbation_size=2,task.train_data.unlabeled_share=0.3,'
      'task.objective.cross_entropy_images=clean',
      'task.objective.cross_entropy_images, task.objective.perturbation_size, '
      'task.train_data.unlabeled_share',
    ),
    ('task.objective.perturbation=ods,task.objective.perturbation_size=2', ''),
    (
      'task.model.fast_weights=ones,task.model.fast_weight_stddev=0.1',
      'task.model.fast_weight_stddev',
    ),
  ],
)
def test_values_that_a_student_does_not_use_are_named(text, names, caplog):
  config = configs.load_config('digits_wrn10_1', params_override=text)
  with caplog.at_level(logging.WARNING):
    configs.warn_of_unused(config)
  lines = [record.getMessage().split(': ')[1] for record in caplog.records]
  assert lines == ([names] if names else [])


def test_what_only_a_student_has_is_left_out_without_a_teacher():
  text = 'task.objective.weight_tie=0.1,task.train_data.unlabeled=tfds:a'
  config = configs.load_config('digits_wrn10_1', params_override=text)
  task = configs.without_teacher(config).task
  assert task.objective.kind == 'cross_entropy'
  assert not task.objective.weight_tie and not task.train_data.unlabeled


def test_a_hydra_has_no_fast_weights(caplog):
  config = configs.load_config(
    'digits_wrn10_1',
    params_override='task.model.ensemble_type=hydra,'
    'task.model.fast_weight_stddev=0.1,task.model.perturb=weights',
  )
  with caplog.at_level(logging.WARNING):
    configs.warn_of_unused(config)
  (line,) = [record.getMessage() for record in caplog.records]
  assert line.endswith(': task.model.fast_weight_stddev, task.model.perturb')


def test_evaluation_names_values_of_training(caplog):
  config = configs.load_config('digits_wrn10_1')
  configs.override_by_text(
    config, 'task.model.width=2,evaluation.severities=[1]'
  )
  with caplog.at_level(logging.WARNING):
    configs.warn_of_unused_by_evaluation(config)
  (line,) = [record.getMessage() for record in caplog.records]
  assert line.endswith(': task.model.width')
