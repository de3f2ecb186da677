"""Tests of the values that were set and have no effect."""

import logging

from uncertainty_distill import configs

import pytest

_SINGLE = 'task.model.ensemble_size=1,'
_MOBILE = '{0}.architecture.type=keras_application,{0}.application=MobileNetV2'


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
