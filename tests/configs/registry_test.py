"""Tests of the registered experiments against the published values."""

from uncertainty_distill import configs, data, runs

import picture_folders
import pytest
from official.modeling import optimization
from refusals import refused

_PUBLISHED = ['cifar10_wrn28_10', 'cifar100_wrn28_10']


def _resolved(config):
  return configs.resolve(config, data.open_configured(config.task.train_data))


def _learning_rates(config, steps):
  """Returns the learning rate that Model Garden uses at each step."""
  factory = optimization.OptimizerFactory(config.trainer.optimizer_config)
  schedule = factory.build_learning_rate()
  return [float(schedule(step)) for step in steps]


def test_there_are_the_promised_experiments():
  assert configs.experiment_names() == [
    'cifar100_wrn28_10',
    'cifar10_16px_wrn10_2',
    'cifar10_wrn10_1',
    'cifar10_wrn16_4',
    'cifar10_wrn28_10',
    'digits_wrn10_1',
    'folder_mobilenet',
    'imagenet_resnet50',
  ]


@pytest.mark.parametrize(
  'name', [name for name in configs.experiment_names() if 'wrn' in name]
)
def test_experiment_resolves_and_its_run_folder_gives_it_back(name, tmp_path):
  config = configs.load_config(name)
  dataset, *_, depth, width = name.replace('wrn', '').split('_')
  assert (config.experiment, config.task.train_data.name) == (name, dataset)
  assert config.task.objective.kind == 'knowledge'
  for index, given in enumerate([config, configs.member_config(config, 3)]):
    resolved = _resolved(given)
    model = resolved.task.model
    assert (model.depth, model.width) == (int(depth), int(width))
    # Resolving again changes nothing.
    assert _resolved(resolved) == resolved
    folder = str(tmp_path / str(index))
    runs.claim_run(folder, resolved)
    assert runs.open_run(folder, '--run').config == resolved


def test_run_folder_gives_back_what_was_overridden(tmp_path):
  resolved = _resolved(
    configs.load_config(
      'digits_wrn10_1',
      params_override=(
        'runtime.mixed_precision_dtype=bfloat16,task.l2=1e-5,'
        'trainer.decay_fractions=[],evaluation.corruptions=[],'
        'trainer.optimizer_config.optimizer.type=adam,'
        'trainer.optimizer_config.learning_rate.type=cosine,'
        'trainer.optimizer_config.learning_rate.cosine.decay_steps=7,'
        'task.fast_weight_learning_rate_multiplier=1,'
        f'task.objective.teacher=[{tmp_path}/a,{tmp_path}/b]'
      ),
    )
  )
  folder = str(tmp_path / 'run')
  runs.claim_run(folder, resolved)
  read = runs.open_run(folder, '--run').config
  assert read == resolved
  assert read.task.l2 == 1e-5
  assert read.trainer.decay_fractions == ()
  assert read.task.objective.teacher == (f'{tmp_path}/a', f'{tmp_path}/b')


@pytest.mark.parametrize('name', _PUBLISHED)
def test_published_student(name):
  config = _resolved(configs.load_config(name))
  task, trainer = config.task, config.trainer
  assert task.train_data.global_batch_size == 128
  assert (task.train_data.crop_padding, task.train_data.horizontal_flip) == (
    2,
    True,
  )
  assert task.model.num_classes == int(name[5:].split('_')[0])
  assert task.model.mean == (0.4914, 0.4822, 0.4465)
  assert task.model.stddev == (0.2470, 0.2435, 0.2616)
  assert task.model.ensemble_size == 4
  assert task.model.fast_weight_stddev == 0.5
  assert task.fast_weight_learning_rate_multiplier == 0.5
  assert (task.model.batch_norm_epsilon, task.model.batch_norm_momentum) == (
    1e-5,
    0.9,
  )
  assert not task.model.sync_batch_norm
  assert task.l2 == 3e-4
  assert (task.objective.weight, task.objective.temperature) == (0.9, 1.0)
  # 390 batches of 128 in 50,000 examples.
  assert trainer.train_steps == 250 * 390
  sgd = trainer.optimizer_config.optimizer
  assert (sgd.type, sgd.sgd.momentum, sgd.sgd.nesterov) == ('sgd', 0.9, True)
  assert trainer.optimizer_config.learning_rate.stepwise.boundaries == (
    100 * 390,
    200 * 390,
    225 * 390,
  )
  expected = {
    0: 0.0,
    39: 0.01,
    195: 0.05,
    390: 0.1,
    38_999: 0.1,
    39_001: 0.02,
    77_999: 0.02,
    78_001: 0.004,
    87_749: 0.004,
    87_751: 0.0008,
    97_499: 0.0008,
  }
  assert _learning_rates(config, expected) == pytest.approx(
    list(expected.values())
  )


@pytest.mark.parametrize('name', _PUBLISHED)
def test_published_member_of_the_teacher(name):
  student = configs.load_config(name)
  member = _resolved(configs.member_config(student))
  task, trainer = member.task, member.trainer
  assert student.teacher.ensemble_size == 4
  assert (task.model.ensemble_size, task.model.depth, task.model.width) == (
    1,
    28,
    10,
  )
  assert task.objective.kind == 'cross_entropy'
  assert task.train_data.global_batch_size == 512
  assert task.l2 == 2e-4
  # 97 batches of 512 in 50,000 examples. The rate is 0.1 for a batch of 128.
  assert trainer.train_steps == 200 * 97
  expected = {
    0: 0.0,
    97: 0.4,
    5_819: 0.4,
    5_821: 0.08,
    11_639: 0.08,
    11_641: 0.016,
    15_519: 0.016,
    15_521: 0.0032,
    19_399: 0.0032,
  }
  assert _learning_rates(member, expected) == pytest.approx(
    list(expected.values())
  )
  assert trainer.optimizer_config.optimizer.sgd.nesterov


def test_members_differ_from_each_other_and_between_students():
  config = configs.load_config('digits_wrn10_1')
  seeds = []
  for config.task.seed in range(3):
    seeds += [configs.member_config(config, i).task.seed for i in range(4)]
    seeds.append(config.task.seed)
  assert len(set(seeds)) == len(seeds)


def test_pictures_of_the_users_own_start_from_their_folder(tmp_path):
  config = configs.load_config('folder_mobilenet')
  with refused('dataset name', ''):
    _resolved(config)
  picture_folders.write(tmp_path, ['ant', 'bee'], 20)
  config.task.train_data.name = str(tmp_path)
  config.task.train_data.test_fraction = 0.2
  model = _resolved(config).task.model
  assert (model.application, model.num_classes) == ('MobileNetV2', 2)
  assert model.image_shape == (96, 96, 3)
  assert config.teacher.application == 'MobileNetV2'


class _ImageNet:
  """The parts of a dataset that resolution needs."""

  spec = data.DatasetSpec(
    'imagenet', (224, 224, 3), tuple(map(str, range(1000))), (0.5,), (0.25,)
  )
  num_train = 1_281_167


def test_imagenet_has_the_published_values():
  config = configs.resolve(configs.load_config('imagenet_resnet50'), _ImageNet)
  task, trainer = config.task, config.trainer
  assert (task.train_data.name, task.model.application) == (
    'tfds:imagenet2012',
    'ResNet50',
  )
  assert (task.model.ensemble_size, task.model.fast_weights) == (4, 'normal')
  assert task.train_data.random_crop_area == 0.08
  assert task.model.fast_weight_stddev == 0.5
  assert task.fast_weight_learning_rate_multiplier == 0.25
  assert task.l2 == 1e-4
  assert config.runtime.mixed_precision_dtype == 'bfloat16'
  sgd = trainer.optimizer_config.optimizer.sgd
  assert (sgd.momentum, sgd.nesterov) == (0.9, True)
  # 1,251 batches of 1,024. The rate is 0.1 for 256 distinct examples.
  assert trainer.train_steps == 135 * 1251
  expected = {
    0: 0.0,
    1251: 0.08,
    5 * 1251: 0.4,
    45 * 1251 - 1: 0.4,
    45 * 1251 + 1: 0.04,
    90 * 1251 + 1: 0.004,
    120 * 1251 + 1: 0.0004,
  }
  assert _learning_rates(config, expected) == pytest.approx(
    list(expected.values())
  )


def test_member_of_the_teacher_on_imagenet_has_the_published_values():
  student = configs.load_config('imagenet_resnet50')
  config = configs.resolve(configs.member_config(student), _ImageNet)
  # 312 batches of 4,096.
  assert config.trainer.train_steps == 90 * 312
  assert config.task.l2 == 1e-4
  expected = {
    312: 0.32,
    5 * 312: 1.6,
    30 * 312 + 1: 0.16,
    60 * 312 + 1: 0.016,
    80 * 312 + 1: 0.0016,
  }
  assert _learning_rates(config, expected) == pytest.approx(
    list(expected.values())
  )
