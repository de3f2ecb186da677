"""Tests of the ranges of values and of the values that are derived."""

from uncertainty_distill import configs, data
from uncertainty_distill.errors import InputError

import numpy as np
import pytest
from official.modeling import optimization
from refusals import refused

_DIGITS = data.open_dataset('digits')


def _resolved(text, steps_per_loop=100):
  config = configs.load_config('digits_wrn10_1', params_override=text)
  return configs.resolve(config, _DIGITS, steps_per_loop)


@pytest.mark.parametrize(
  'text, name, value',
  [
    ('task.model.depth=12', 'task.model.depth', 12),
    ('task.model.depth=4', 'task.model.depth', 4),
    ('task.model.width=0', 'task.model.width', 0),
    ('task.model.ensemble_size=0', 'task.model.ensemble_size', 0),
    ('task.model.perturb=bias', 'task.model.perturb', 'bias'),
    ('task.model.rank=0', 'task.model.rank', 0),
    ('task.model.fast_weight_stddev=-1', 'task.model.fast_weight_stddev', -1),
    ('task.model.batch_norm_epsilon=0', 'task.model.batch_norm_epsilon', 0),
    ('task.model.mean=[0.5,0.5]', 'task.model.mean', (0.5, 0.5)),
    ('task.model.stddev=[0.5,0,0.5]', 'task.model.stddev', (0.5, 0, 0.5)),
    ('task.objective.kind=heads', 'task.objective.kind', 'heads'),
    ('task.objective.weight=1.1', 'task.objective.weight', 1.1),
    ('task.objective.temperature=0', 'task.objective.temperature', 0),
    ('task.objective.label_smoothing=1', 'task.objective.label_smoothing', 1),
    ('task.objective.weight_tie=-1', 'task.objective.weight_tie', -1),
    (
      'task.objective.weight_tie=1,task.objective.kind=cross_entropy',
      'task.objective.weight_tie',
      1,
    ),
    (
      'task.objective.weight_tie=1,task.model.ensemble_size=1',
      'task.objective.weight_tie',
      1,
    ),
    ('task.model.rank=65', 'task.model.rank', 65),
    ('task.initialize_from=[a,b]', 'task.initialize_from', ['a', 'b']),
    (
      'task.initialize_from=[teacher],task.model.ensemble_size=1',
      'task.initialize_from',
      ['teacher'],
    ),
    ('task.initialize_aligned=true', 'task.initialize_aligned', True),
    ('task.l2=-1e-9', 'task.l2', -1e-09),
    ('task.block_l2=[1,2,3,4,5]', 'task.block_l2', (1, 2, 3, 4, 5)),
    ('task.block_l2=[1,2,3,4,5,-6]', 'task.block_l2', (1, 2, 3, 4, 5, -6)),
    ('task.seed=-1', 'task.seed', -1),
    ('task.seed=4294967296', 'task.seed', 4294967296),
    (
      'task.train_data.global_batch_size=0',
      'task.train_data.global_batch_size',
      0,
    ),
    (
      'task.train_data.global_batch_size=798',
      'task.train_data.global_batch_size',
      798,
    ),
    (
      'task.train_data.num_examples=50',
      'task.train_data.global_batch_size',
      64,
    ),
    (
      'task.train_data.held_out_fraction=1',
      'task.train_data.held_out_fraction',
      1,
    ),
    (
      'task.train_data.held_out_fraction=1e-4',
      'task.train_data.held_out_fraction',
      0.0001,
    ),
    (
      'task.train_data.num_examples=64,task.train_data.held_out_fraction=0.999',
      'task.train_data.held_out_fraction',
      0.999,
    ),
    (
      'task.train_data.held_out_fraction=0.95',
      'task.train_data.global_batch_size',
      64,
    ),
    ('task.train_data.views=-1', 'task.train_data.views', -1),
    (
      'task.train_data.augmentation_seed=-2',
      'task.train_data.augmentation_seed',
      -2,
    ),
    (
      'task.validation_data.global_batch_size=0',
      'task.validation_data.global_batch_size',
      0,
    ),
    ('trainer.epochs=0', 'trainer.epochs', 0),
    ('trainer.momentum=1', 'trainer.momentum', 1),
    (
      'trainer.decay_fractions=[0.8,0.4]',
      'trainer.decay_fractions',
      (0.8, 0.4),
    ),
    (
      'trainer.decay_fractions=[0.4,0.4]',
      'trainer.decay_fractions',
      (0.4, 0.4),
    ),
    (
      'trainer.decay_fractions=[0.4,1.0]',
      'trainer.decay_fractions',
      (0.4, 1.0),
    ),
    ('trainer.decay_rate=0', 'trainer.decay_rate', 0),
    ('trainer.train_steps=-1', 'trainer.train_steps', -1),
    ('trainer.validation_interval=-1', 'trainer.validation_interval', -1),
    ('trainer.validation_steps=0', 'trainer.validation_steps', 0),
    ('trainer.max_to_keep=1', 'trainer.max_to_keep', 1),
    ('trainer.recovery_max_trials=-1', 'trainer.recovery_max_trials', -1),
    (
      'trainer.recovery_learning_rate_factor=0',
      'trainer.recovery_learning_rate_factor',
      0,
    ),
    ('trainer.loss_upper_bound=0', 'trainer.loss_upper_bound', 0),
    ('trainer.recovery_begin_steps=-1', 'trainer.recovery_begin_steps', -1),
    ('trainer.summary_interval=150', 'trainer.summary_interval', 150),
    (
      'runtime.mixed_precision_dtype=float16',
      'runtime.mixed_precision_dtype',
      'float16',
    ),
    ('teacher.ensemble_size=0', 'teacher.ensemble_size', 0),
    ('teacher.depth=11', 'teacher.depth', 11),
    ('teacher.search.num_runs=-1', 'teacher.search.num_runs', -1),
    ('teacher.search.num_runs=1001', 'teacher.search.num_runs', 1001),
    ('teacher.search.num_runs=3', 'teacher.search.num_runs', 3),
    (
      'teacher.search.held_out_fraction=0',
      'teacher.search.held_out_fraction',
      0,
    ),
    (
      'teacher.search.num_runs=9,task.train_data.held_out_fraction=0.1',
      'teacher.search.held_out_fraction',
      0.05,
    ),
    ('teacher.search.l2_range=[0,1]', 'teacher.search.l2_range', (0, 1)),
    ('teacher.search.l2_range=[2,1]', 'teacher.search.l2_range', (2, 1)),
    ('teacher.search.l2_range=[1]', 'teacher.search.l2_range', (1,)),
    (
      'teacher.search.label_smoothing_range=[0.1,1]',
      'teacher.search.label_smoothing_range',
      (0.1, 1),
    ),
    ('evaluation.severities=[0]', 'evaluation.severities', (0,)),
    ('evaluation.severities=[2,2]', 'evaluation.severities', (2, 2)),
    (
      'evaluation.corruptions=[contrast,contrast]',
      'evaluation.corruptions',
      ('contrast', 'contrast'),
    ),
  ],
)
def test_values_out_of_range_are_named(text, name, value):
  with refused(name, value):
    _resolved(text)


@pytest.mark.parametrize(
  'text, message',
  [
    ('optimizer.type=sgd', 'Learning rate type must be specified'),
    ('learning_rate.type=cosine', 'Optimizer type must be specified'),
    ('optimizer.type=bogus', "'bogus' is not a valid key"),
    ('optimizer.sgd.momentum=0.5', 'Optimizer type must be specified'),
  ],
)
def test_half_an_optimizer_is_refused_rather_than_ignored(text, message):
  with refused('trainer.optimizer_config') as caught:
    _resolved(f'trainer.optimizer_config.{text}')
  # The hint has Model Garden's own message.
  assert message in caught.value.hint


def test_moving_averages_of_weights_are_refused():
  config = configs.load_config(
    'digits_wrn10_1', params_override=configs.ADAM.split('set ')[1]
  )
  config.trainer.optimizer_config.ema = optimization.EMAConfig()
  with refused('trainer.optimizer_config.ema'):
    configs.resolve(config, data.open_dataset('digits'))


def test_a_given_optimizer_stays_and_fast_weights_need_sgd():
  text = (
    'trainer.optimizer_config.optimizer.type=adam,'
    'trainer.optimizer_config.learning_rate.type=constant,'
    'trainer.optimizer_config.learning_rate.constant.learning_rate=3e-3'
  )
  with refused('task.fast_weight_learning_rate_multiplier', 0.5):
    _resolved(text)
  config = _resolved(f'{text},task.fast_weight_learning_rate_multiplier=1')
  chosen = config.trainer.optimizer_config
  assert chosen.optimizer.type == 'adam'
  assert chosen.learning_rate.constant.learning_rate == 3e-3
  # AdamW's clipping expects gradients that are not yet summed over replicas.
  adamw = text.replace('=adam,', '=adamw,')
  name = 'trainer.optimizer_config.optimizer.adamw.gradient_clip_norm'
  with refused(name, 1.0, '0'):
    _resolved(f'{adamw},task.fast_weight_learning_rate_multiplier=1')


def test_lengths_follow_from_epochs():
  # 12 batches of 64 in 797 examples.
  trainer = _resolved('trainer.epochs=2.5').trainer
  assert trainer.train_steps == 30
  assert trainer.steps_per_loop == trainer.summary_interval == 30
  assert trainer.checkpoint_interval == 100
  assert trainer.validation_interval == 12
  trainer = _resolved('trainer.epochs=1000', steps_per_loop=10).trainer
  assert trainer.train_steps == 12_000
  # No curve has more than a thousand points.
  assert (trainer.steps_per_loop, trainer.summary_interval) == (10, 20)
  assert trainer.validation_interval == 1_200
  # 797 - 40 examples make 11 batches. 102 of the first 128 make one batch.
  held = 'trainer.epochs=2,task.train_data.held_out_fraction'
  assert _resolved(f'{held}=0.05').trainer.train_steps == 22
  text = f'{held}=0.2,task.train_data.num_examples=128'
  assert _resolved(text).trainer.train_steps == 2
  # Given values stay.
  trainer = _resolved('trainer.train_steps=7,trainer.steps_per_loop=2').trainer
  assert (trainer.train_steps, trainer.steps_per_loop) == (7, 2)


@pytest.mark.parametrize(
  'text, views',
  [
    ('trainer.epochs=2.5', 3),
    ('trainer.epochs=1', 1),
    ('trainer.train_steps=13', 2),  # An epoch has 12 steps.
    ('trainer.epochs=5,task.train_data.views=2', 2),
  ],
)
def test_views_follow_from_a_teacher_cache(text, views):
  train_data = _resolved(text).task.train_data
  assert train_data.augmentation_seed == -1
  assert train_data.views == (2 if 'views' in text else 0)
  text += ',task.objective.teacher_cache=cache'
  train_data = _resolved(text).task.train_data
  assert (train_data.views, train_data.augmentation_seed) == (views, 0)
  train_data = _resolved(f'{text},task.train_data.augmentation_seed=7')
  assert train_data.task.train_data.augmentation_seed == 7
  # Without distillation, nothing is cached.
  alone = _resolved(f'{text},task.objective.kind=cross_entropy')
  assert alone.task.train_data.augmentation_seed == -1


def test_model_follows_the_dataset():
  model = _resolved('').task.model
  assert (model.image_shape, model.num_classes) == ((16, 16, 3), 10)
  assert (model.mean, model.stddev) == (_DIGITS.spec.mean, _DIGITS.spec.stddev)
  assert _resolved('task.model.mean=[0.5]').task.model.mean == (0.5,)


def _schedule(text):
  config = _resolved(text).trainer.optimizer_config
  return optimization.OptimizerFactory(config).build_learning_rate()


def test_short_schedules():
  # Without decay and warm-up, the rate is constant: 0.1 for 128 examples.
  assert _schedule('trainer.decay_fractions=[],trainer.warmup_epochs=0') == 0.05
  # If two milestones round to one step, both decays count.
  schedule = _schedule('trainer.train_steps=2,trainer.warmup_epochs=0')
  assert float(schedule(0)) == pytest.approx(0.05)
  assert float(schedule(5)) == pytest.approx(0.05 * 0.2**3)
  # The warm-up to a rate of 0.05 takes half an epoch, which has 12 steps.
  schedule = _schedule('trainer.warmup_epochs=0.5')
  assert float(schedule(3)) == pytest.approx(0.025)
  assert float(schedule(6)) == pytest.approx(0.05)


def test_resolve_leaves_its_argument_alone():
  config = configs.load_config('digits_wrn10_1')
  configs.resolve(config, _DIGITS)
  assert config == configs.load_config('digits_wrn10_1')


def test_member_takes_the_teachers_section_and_the_rest_of_the_students():
  config = configs.load_config(
    'digits_wrn10_1',
    params_override=(
      'teacher.depth=16,teacher.width=2,teacher.global_batch_size=32,'
      'teacher.epochs=4,teacher.l2=0.5,teacher.decay_fractions=[0.5],'
      'task.objective.teacher=[a],task.train_data.num_examples=90,'
      'trainer.base_learning_rate=0.7,task.seed=2,task.train_data.views=3,'
      'task.train_data.augmentation_seed=0,task.objective.teacher_cache=b,'
      'task.objective.weight_tie=0.1,task.block_l2=[1,2,3,4,5,6],'
      'task.objective.label_smoothing=0.1,task.initialize_from=[teacher],'
      'task.initialize_aligned=true'
    ),
  )
  member = configs.member_config(config, 1)
  model = member.task.model
  assert (model.ensemble_size, model.depth, model.width) == (1, 16, 2)
  assert member.task.train_data.global_batch_size == 32
  assert member.task.train_data.num_examples == 90
  assert (member.task.l2, member.task.block_l2) == (0.5, ())
  assert member.task.objective.label_smoothing == 0.1
  assert member.task.objective.kind == 'cross_entropy'
  assert member.task.objective.teacher == ()
  assert member.task.objective.teacher_cache == ''
  # The teacher sees new views in each epoch, however few the student sees.
  data_config = member.task.train_data
  assert (data_config.views, data_config.augmentation_seed) == (0, -1)
  assert member.task.objective.weight_tie == 0
  assert member.task.initialize_from == ()
  assert not member.task.initialize_aligned
  assert (member.trainer.epochs, member.trainer.decay_fractions) == (4, (0.5,))
  assert member.trainer.base_learning_rate == 0.7
  assert member.task.seed not in (config.task.seed, 0, 1)
  # The largest seed that a student may have also gives valid seeds.
  config.task.seed = 2**32 - 1
  seeds = [configs.member_config(config, i).task.seed for i in range(4)]
  assert len(set(seeds)) == 4 and all(0 <= seed < 2**32 for seed in seeds)


@pytest.mark.parametrize(
  'text, want',
  [
    ('', None),
    ('runtime.tpu=local', 'bfloat16'),
    ('runtime.tpu=local,runtime.mixed_precision_dtype=float32', 'float32'),
  ],
)
def test_a_tpu_computes_in_bfloat16_unless_told(text, want):
  assert _resolved(text).runtime.mixed_precision_dtype == want


def test_what_is_set_in_python_is_checked_too():
  config = configs.load_config('digits_wrn10_1')
  config.task.train_data.num_exmples = 64
  name = 'task.train_data.num_exmples'
  with refused(name, 64, 'num_examples') as caught:
    configs.resolve(config, _DIGITS)
  assert 'num_examples' in caught.value.hint
  config = configs.load_config('digits_wrn10_1')
  config.task.model.width = 'two'
  with refused('task.model.width', 'two', 'int'):
    configs.resolve(config, _DIGITS)


def test_numbers_of_numpy_are_numbers():
  config = configs.load_config('digits_wrn10_1')
  values = {'epochs': np.int64(2), 'decay_fractions': (np.float32(0.5),)}
  configs.override(config, {'trainer': values}, 'overrides')
  assert config.trainer.epochs == 2 and type(config.trainer.epochs) is int
  assert config.trainer.decay_fractions == (0.5,)


@pytest.mark.parametrize('missing', [0, 1, 2])
def test_the_first_refusal_of_adam_says_all_that_it_takes(missing):
  whole = configs.ADAM.split('set ')[1]
  assert _resolved(whole).trainer.optimizer_config.optimizer.type == 'adam'
  texts = (
    'trainer.optimizer_config.optimizer=adam',
    'trainer.optimizer_config.optimizer.type=adam',
    whole.rsplit(',', 1)[0],
  )
  with pytest.raises(InputError) as caught:
    _resolved(texts[missing])
  assert whole in caught.value.hint


def test_a_dataset_means_the_same_from_everywhere(monkeypatch, tmp_path):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('HOME', '/home/me')
  config = configs.load_config('digits_wrn10_1')
  config.task.train_data.name = 'data/own.npz'
  config.evaluation.out_of_distribution = '~/other.npz'
  config.evaluation.source = 'corrupted'
  config.task.train_data.data_dir = '~/tfds'
  config.task.objective.teacher = ('~/a', 'b')
  config.task.objective.teacher_cache = '~/cache'
  resolved = configs.resolve(config, _DIGITS)
  assert resolved.task.train_data.name == str(tmp_path / 'data/own.npz')
  assert resolved.evaluation.out_of_distribution == '/home/me/other.npz'
  assert resolved.evaluation.source == str(tmp_path / 'corrupted')
  assert resolved.task.train_data.data_dir == '/home/me/tfds'
  objective = resolved.task.objective
  assert (objective.teacher, objective.teacher_cache) == (
    ('/home/me/a', 'b'),
    '/home/me/cache',
  )
  resolved = _resolved('evaluation.source=tfds')
  assert resolved.task.train_data.name == 'digits'
  assert resolved.evaluation.source == 'tfds'
  assert resolved.task.train_data.data_dir == ''
