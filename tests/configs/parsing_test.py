"""Tests of what a user can type: names, files, overrides, and mistakes."""

import math
import pathlib

from uncertainty_distill import configs
from uncertainty_distill.errors import InputError

import numpy as np
import pytest
from refusals import refused

_NAME = 'digits_wrn10_1'


def _overridden(text):
  return configs.load_config(_NAME, params_override=text)


def _laughs(repeated):
  """Returns YAML of 15 levels, each of which repeats the one before."""
  lines = ['a0: &a0 {x: lol}']
  for level in range(15):
    lines.append(f'a{level + 1}: &a{level + 1} {repeated.format(level)}')
  return '\n'.join(lines).encode()


@pytest.mark.parametrize(
  'name, nearest',
  [
    ('digits_wrn10_2', 'digits_wrn10_1'),
    ('cifar10_wrn28-10', 'cifar10_wrn28_10'),
    ('zzz', ''),
  ],
)
def test_unknown_experiment(name, nearest):
  with refused('experiment', name, 'cifar100_wrn28_10') as caught:
    configs.load_config(name)
  hint = caught.value.hint
  assert nearest in hint and bool(hint) == bool(nearest)


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
  # Values that are not named stay, even beside named values.
  assert config.task.model.depth == 10
  assert config.task.train_data.name == 'digits'
  # The registered experiment is unchanged.
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
    (
      '{task: {train_data: {name: /data/of=2024/mine.npz}}}',
      'task.train_data.name',
      '/data/of=2024/mine.npz',
    ),
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
  'text, name, value',
  [
    ('task.model.width=abc', 'task.model.width in params_override', 'abc'),
    ('task.model.width=1.5', 'task.model.width in params_override', 1.5),
    ('task.model.width=true', 'task.model.width in params_override', True),
    ('task.model.width=', 'task.model.width in params_override', None),
    ('task.l2=true', 'task.l2 in params_override', True),
    ('task.l2=much', 'task.l2 in params_override', 'much'),
    ('trainer.epochs=.inf', 'trainer.epochs in params_override', math.inf),
    (
      'trainer.epochs=nan',
      'trainer.epochs in params_override',
      'nan',
    ),
    (
      'task.model.sync_batch_norm=1',
      'task.model.sync_batch_norm in params_override',
      1,
    ),
    ('task.train_data.name=5', 'task.train_data.name in params_override', 5),
    (
      'trainer.decay_fractions=0.5',
      'trainer.decay_fractions in params_override',
      0.5,
    ),
    (
      'trainer.decay_fractions=[a]',
      'trainer.decay_fractions in params_override',
      ['a'],
    ),
    (
      'evaluation.severities=[true]',
      'evaluation.severities in params_override',
      [True],
    ),
    (
      'evaluation.corruptions=contrast',
      'evaluation.corruptions in params_override',
      'contrast',
    ),
    ('task.model=3', 'task.model in params_override', 3),
    ('task.modle.width=2', 'task.modle in params_override', {'width': 2}),
    ('task.model.widht=2', 'task.model.widht in params_override', 2),
    ('task.model.zzzzz=2', 'task.model.zzzzz in params_override', 2),
    ('task.model.width.x=2', 'task.model.width in params_override', {'x': 2}),
    ('hello', 'params_override', 'hello'),
    ('{a: [}', 'params_override', '{a: [}'),
    ('[1, 2]', 'params_override', '[1, 2]'),
    ('=', 'params_override', '='),
  ],
)
def test_mistakes_in_overrides_are_named(text, name, value):
  with refused(name, value):
    _overridden(text)


@pytest.mark.parametrize(
  'text, near',
  [
    ('task.modle.width=2', 'model'),
    ('task.model.widht=2', 'width'),
    ('epochs=5', 'trainer.epochs'),
    ('width=5', 'task.model.width'),
    ('global_batch_size=8', 'task.train_data.global_batch_size'),
  ],
)
def test_misspelled_names_bring_the_nearest_one(text, near):
  with pytest.raises(InputError) as caught:
    _overridden(text)
  assert repr(near) in caught.value.hint


@pytest.mark.parametrize(
  'text',
  [
    'optimizer=adam',
    'trainer.optimizer=adam',
    'trainer.optimizer_config.type=adam',
    'trainer.optimizer_config.optimizer=adam',
  ],
)
def test_whoever_asks_for_adam_is_told_all_that_it_takes(text):
  with pytest.raises(InputError) as caught:
    _overridden(text)
  whole = configs.ADAM.split('set ')[1]
  assert whole in caught.value.hint
  assert _overridden(whole).trainer.optimizer_config.optimizer.type == 'adam'


def test_python_may_set_numbers_of_numpy_and_paths():
  config = _overridden('')
  config.trainer.epochs = np.int64(2)
  config.task.model.width = np.int32(3)
  config.task.train_data.name = pathlib.Path('own.npz')
  config.trainer.decay_fractions = np.array([0.25, 0.5])
  assert config.trainer.epochs == 2 and type(config.trainer.epochs) is int
  assert type(config.task.model.width) is int
  assert config.task.train_data.name == 'own.npz'
  assert config.trainer.decay_fractions == (0.25, 0.5)
  # Elsewhere, they are compared with the tuples that are read from files.
  config.task.train_data.classes = [3, 5]
  assert config.task.train_data.classes == (3, 5)
  with refused('l2'):
    config.task.l2 = object()


def test_mistakes_in_files_are_named(tmp_path):
  path = tmp_path / 'typo.yaml'
  path.write_text('trainer: {epoch: 3}\n')
  with refused(f'trainer.epoch in {path}', 3) as caught:
    configs.load_config(_NAME, [str(path)])
  assert 'epochs' in caught.value.hint


@pytest.mark.parametrize(
  'content, expected',
  [
    (b'- 1\n- 2\n', 'mapping'),
    (b'', 'mapping'),
    (b'just words', 'mapping'),
    (b'task: {seed: \xff\xfe}', 'readable'),
    (b'task: {seed: 1', 'readable'),
    (b'a: 1\n\tb: 2', 'readable'),
    (b'task: !!map [1]', 'readable'),
    # A billion laughs.
    (_laughs('[*a{0},*a{0},*a{0},*a{0}]'), 'readable'),
    (_laughs('{{<<: [*a{0},*a{0},*a{0},*a{0}]}}'), 'readable'),
    (b'check_labels: !!bool maybe', 'readable'),
    (b'task: {seed: !!int ""}', 'readable'),
    (None, 'readable'),
  ],
)
def test_unreadable_files_are_named(content, expected, tmp_path):
  path = tmp_path / 'file.yaml'
  if content is not None:
    path.write_bytes(content)
  with refused('config_file', str(path), expected):
    configs.load_config(_NAME, [str(path)])


def test_yaml_runs_no_code(tmp_path):
  victim = tmp_path / 'victim'
  attack = f'!!python/object/apply:pathlib.Path.touch [{victim}]'
  path = tmp_path / 'file.yaml'
  path.write_text(f'task: {attack}\n')
  with refused('config_file', str(path)):
    configs.load_config(_NAME, [str(path)])
  with refused('params_override'):
    _overridden(f'task={attack}')
  assert not pathlib.Path(victim).exists()


@pytest.mark.parametrize('kind', [1, True, ['custom'], None])
def test_an_architecture_of_no_name_is_refused(kind):
  config = configs.load_config(_NAME)
  values = {'task': {'model': {'depth': 16, 'architecture': {'type': kind}}}}
  with pytest.raises(InputError):
    configs.override(config, values, 'a test')
  empty = {'depth': 16, 'architecture': {'type': 'custom', 'custom': None}}
  with pytest.raises(InputError):
    configs.override(config, {'task': {'model': empty}}, 'a test')


def test_a_path_with_adam_in_it_is_no_optimizer():
  with pytest.raises(InputError) as caught:
    _overridden('task.train_data.nam=/home/adam')
  assert 'name' in caught.value.hint and 'Adam' not in caught.value.hint
