"""Tests of what a user can type: names, files, overrides, and mistakes."""

import pathlib

from uncertainty_distill import configs
from uncertainty_distill.errors import InputError

import pytest

_NAME = 'digits_wrn10_1'


def _overridden(text):
  return configs.load_config(_NAME, params_override=text)


@pytest.mark.parametrize(
  'name, hint',
  [
    ('digits_wrn10_2', "did you mean 'digits_wrn10_1'"),
    ('cifar10_wrn28-10', "did you mean 'cifar10_wrn28_10'"),
    ('zzz', 'one of cifar100_wrn28_10, '),
  ],
)
def test_unknown_experiment(name, hint):
  with pytest.raises(InputError, match=hint):
    configs.load_config(name)


def test_overrides_win_over_files_and_later_files_over_earlier(tmp_path):
  first, second = tmp_path / 'first.yaml', tmp_path / 'second.yaml'
  first.write_text(
    'task: {l2: 1e-3, seed: 1, model: {width: 2}}\ntrainer: {epochs: 3}\n'
  )
  second.write_text('task: {seed: 2, model: {width: 3}}\n')
  config = configs.load_config(
    _NAME, [str(first), str(second)], 'task.model.width=4'
  )
  assert config.task.l2 == 1e-3
  assert config.task.seed == 2
  assert config.task.model.width == 4
  assert config.trainer.epochs == 3
  # What is not named stays, next to what is.
  assert config.task.model.depth == 10
  assert config.task.train_data.name == 'digits'
  # The registered experiment is as it was.
  assert configs.load_config(_NAME).task.model.width == 1


@pytest.mark.parametrize(
  'text, path, value',
  [
    ('task.l2=1e-4', 'task.l2', 1e-4),
    ('trainer.epochs=1e1', 'trainer.epochs', 10.0),
    ('trainer.epochs=2', 'trainer.epochs', 2),
    ('task.model.sync_batch_norm=true', 'task.model.sync_batch_norm', True),
    (
      'task.train_data.horizontal_flip=False',
      'task.train_data.horizontal_flip',
      False,
    ),
    (
      'trainer.decay_fractions=[0.5,8e-1]',
      'trainer.decay_fractions',
      (0.5, 0.8),
    ),
    ('trainer.decay_fractions=[]', 'trainer.decay_fractions', ()),
    (
      'evaluation.corruptions=[contrast,shot_noise],task.seed=5',
      'evaluation.corruptions',
      ('contrast', 'shot_noise'),
    ),
    ('task.objective.teacher=[a/b]', 'task.objective.teacher', ('a/b',)),
    ('runtime.tpu=local', 'runtime.tpu', 'local'),
    ('runtime.tpu=null', 'runtime.tpu', None),
    ('{task: {seed: 3}}', 'task.seed', 3),
    ('task.seed=1,task.seed=2', 'task.seed', 2),
    (
      'trainer.optimizer_config.optimizer.sgd.momentum=5e-1',
      'trainer.optimizer_config.optimizer.sgd.momentum',
      0.5,
    ),
    ('', 'task.seed', 0),
  ],
)
def test_values_are_of_the_type_of_their_fields(text, path, value):
  found = _overridden(text)
  for name in path.split('.'):
    found = getattr(found, name)
  assert found == value
  assert type(found) is type(value)


@pytest.mark.parametrize(
  'text, message',
  [
    ('task.model.width=abc', "task.model.width .*'abc', wants int"),
    ('task.model.width=1.5', 'task.model.width .*1.5, wants int'),
    ('task.model.width=true', 'task.model.width .*True, wants int'),
    ('task.model.width=', 'task.model.width .*None, wants int'),
    ('task.l2=true', 'task.l2 .*True, wants a finite float'),
    ('task.l2=much', "task.l2 .*'much', wants a finite float"),
    ('trainer.epochs=.inf', 'trainer.epochs .*inf, wants a finite float'),
    ('trainer.epochs=nan', 'trainer.epochs .*nan, wants a finite float'),
    ('task.model.sync_batch_norm=1', 'sync_batch_norm .*1, wants bool'),
    ('task.train_data.name=5', 'task.train_data.name .*5, wants str'),
    ('trainer.decay_fractions=0.5', r'0.5, wants tuple\[float, \.\.\.\]'),
    ('trainer.decay_fractions=[a]', r"\('a',\), wants tuple\[float"),
    ('evaluation.severities=[true]', r'\(True,\), wants tuple\[int'),
    ('evaluation.corruptions=contrast', "'contrast', wants tuple"),
    ('task.model=3', 'task.model .*3, wants a mapping of image_shape, '),
    ('task.modle.width=2', "task.modle .* did you mean 'model'"),
    ('task.model.widht=2', "task.model.widht .* did you mean 'width'"),
    ('task.model.zzzzz=2', 'task.model.zzzzz .* a known name: image_shape'),
    ('task.model.width.x=2', 'task.model.width .*, wants int'),
    ('hello', "'hello', wants key=value pairs"),
    ('{a: [}', 'wants key=value pairs'),
    ('[1, 2]', 'wants key=value pairs'),
    ('=', 'wants key=value pairs'),
  ],
)
def test_mistakes_in_overrides_are_named(text, message):
  with pytest.raises(InputError, match=message) as caught:
    _overridden(text)
  assert '--params_override' in str(caught.value)
  assert '\n' not in str(caught.value)


def test_mistakes_in_files_are_named(tmp_path):
  path = tmp_path / 'typo.yaml'
  path.write_text('trainer: {epoch: 3}\n')
  with pytest.raises(InputError, match=f"epoch in {path}.*mean 'epochs'"):
    configs.load_config(_NAME, [str(path)])


@pytest.mark.parametrize(
  'content, message',
  [
    (b'- 1\n- 2\n', 'a YAML mapping, not list'),
    (b'', 'a YAML mapping, not NoneType'),
    (b'just words', 'a YAML mapping, not str'),
    (b'task: {seed: \xff\xfe}', "a readable YAML file.*can't decode"),
    (b'task: {seed: 1', 'a readable YAML file'),
    (b'a: 1\n\tb: 2', 'a readable YAML file'),
    (None, 'a readable YAML file.*No such file'),
  ],
)
def test_unreadable_files_are_named(content, message, tmp_path):
  path = tmp_path / 'file.yaml'
  if content is not None:
    path.write_bytes(content)
  with pytest.raises(InputError, match=message) as caught:
    configs.load_config(_NAME, [str(path)])
  assert str(caught.value).startswith(f"--config_file: got '{path}'")
  assert '\n' not in str(caught.value)


def test_yaml_runs_no_code(tmp_path):
  victim = tmp_path / 'victim'
  attack = f'!!python/object/apply:pathlib.Path.touch [{victim}]'
  path = tmp_path / 'file.yaml'
  path.write_text(f'task: {attack}\n')
  with pytest.raises(InputError, match='a readable YAML file'):
    configs.load_config(_NAME, [str(path)])
  with pytest.raises(InputError, match='wants key=value pairs'):
    _overridden(f'task={attack}')
  assert not pathlib.Path(victim).exists()
