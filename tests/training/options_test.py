"""Tests each pair of options in the table of docs/reference/options.md."""

import copy
import functools
import itertools
import pathlib

from uncertainty_distill import (
  configs,
  data,
  exporting,
  layers,
  runs,
  trained,
  training,
)
from uncertainty_distill.errors import InputError
from uncertainty_distill.training import session as session_lib

import experiments
import numpy as np
import pytest
import refusals
import scipy.special
import tensorflow as tf
import tf_keras

_TABLE = pathlib.Path(__file__).parents[2] / 'docs/reference/options.md'
_BATCH = 8
_BASE = (
  'task.model.ensemble_size=2,task.train_data.num_examples=24,'
  f'task.train_data.global_batch_size={_BATCH},trainer.train_steps=4,'
  'task.validation_data.global_batch_size=12,trainer.warmup_epochs=0,'
  'teacher.global_batch_size=8,teacher.ensemble_size=2,'
  'task.objective.kind=knowledge,check_labels=false,'
  'trainer.recovery_max_trials=0,trainer.decay_fractions=[],'
)
# The overrides that turn each option on. A fixture makes the teachers.
_OPTIONS = {
  '`kind=head`': 'task.objective.kind=head',
  '`teacher_cache`': 'task.objective.teacher_cache=CACHE',
  '`mixup`': 'task.objective.mixup=0.4,task.objective.weight=1',
  '`perturbation=ods`': 'task.objective.perturbation=ods',
  '`perturbation=conf_ods`': 'task.objective.perturbation=conf_ods',
  '`cross_entropy_images=clean`': 'task.objective.cross_entropy_images=clean',
  '`teacher_temperature=fit`': (
    'task.objective.teacher_temperature=fit,evaluation.temperature_examples=300'
  ),
  '`weight_tie`': 'task.objective.weight_tie=0.1',
  '`members_per_example=1`': 'task.train_data.members_per_example=1',
  'a teacher that takes uint8': '',
  'a teacher of stored predictions': '',
}


def _cells():
  """Yields two labels of the table, and whether they work together."""
  rows = [
    [cell.strip() for cell in line.strip('|\n ').split('|')]
    for line in _TABLE.read_text().splitlines()
    if line.startswith('| ') and line[2].isdigit()
  ]
  labels = [row[1] for row in rows]
  for row in rows:
    for other, cell in zip(labels, row[2:]):
      if cell:
        yield row[1], other, cell


@pytest.fixture(name='teachers', scope='module')
def _teachers(tmp_path_factory):
  """The paths of two networks: as runs, as SavedModels and as predictions."""
  config = configs.load_config('digits_wrn10_1', params_override=_BASE)
  member = training.resolve(configs.member_config(config))
  folder = tmp_path_factory.mktemp('teachers')
  images = data.open_dataset('digits').train.images
  paths = {'run': [], 'uint8': [], 'predictions': []}
  for index in range(2):
    run = runs.claim_run(str(folder / f'run{index}'), member)
    tf_keras.utils.set_random_seed(index)
    model = member.task.model.build()
    model(images[:64], training=True)
    tf.train.CheckpointManager(
      tf.train.Checkpoint(model=model), run.path, max_to_keep=1
    ).save(checkpoint_number=member.trainer.train_steps)
    paths['run'].append(run.path)
    served = exporting.export_saved_model(
      model,
      (16, 16, 3),
      str(folder / f'served{index}'),
      class_names=tuple('0123456789'),
    )
    paths['uint8'].append(served)
    file = str(folder / f'{index}.npz')
    np.savez(
      file,
      train_logits=model.predict(images, batch_size=797, verbose=0)[0],
      train_labels=data.open_dataset('digits').train.labels,
    )
    paths['predictions'].append(file)
  return paths


def _config(labels, teachers, folder):
  text = _BASE + ','.join(filter(None, (_OPTIONS[label] for label in labels)))
  config = configs.load_config(
    'digits_wrn10_1', params_override=text.replace('CACHE', str(folder))
  )
  kind = 'run'
  for label in labels:
    kind = {
      'a teacher that takes uint8': 'uint8',
      'a teacher of stored predictions': 'predictions',
    }.get(label, kind)
  config.task.objective.teacher = tuple(teachers[kind])
  return config


@functools.cache
def _open_teacher(paths):
  """Opens a teacher once for all tests, since loading it takes long."""
  return trained.open_trained(paths, 'task.objective.teacher')


def _step(config, compiled=False):
  """Takes the first step, as a session does.

  Returns:
    The batch, the terms of the loss, and the largest change in each variable.
  """
  experiment = experiments.opened(config)
  experiment.teacher = _open_teacher(config.task.objective.teacher)
  session = session_lib.TrainingSession(
    experiment,
    runs.RunFolder('no such run', experiment.config),
    False,
    'a test',
  )
  training.check_teacher(experiment)
  session.prepare_teacher()
  task = training.ClassificationTask(
    experiment, session.stored_logits, session.teacher_temperature
  )
  tf_keras.utils.set_random_seed(0)
  model = task.build_model()
  optimizer = task.create_optimizer(
    experiment.config.trainer.optimizer_config, experiment.config.runtime
  )
  (batch,) = task.build_inputs(experiment.config.task.train_data).take(1)
  before = [v.numpy() for v in model.trainable_variables]
  metrics = task.build_metrics()

  def step(batch):
    return task.train_step(batch, model, optimizer, metrics)

  if compiled:
    step = tf.function(step, jit_compile=True, autograph=False)
  terms = step(batch)
  change = [
    np.abs(v - w).max() for v, w in zip(model.trainable_variables, before)
  ]
  return batch, terms, change


def _groups():
  """Yields a few sets of options that hold every pair that works."""
  together = {
    frozenset((one, other)) for one, other, cell in _cells() if cell == 'yes'
  }
  left = {pair for pair in together if len(pair) == 2}
  while left:
    group = set(min(left, key=sorted))
    for label in _OPTIONS:
      if all(frozenset((label, other)) in together for other in group):
        group.add(label)
    left -= {frozenset(pair) for pair in itertools.combinations(group, 2)}
    yield sorted(group)


def _assert_works(labels, teachers, folder):
  _, terms, change = _step(_config(labels, teachers, folder))
  assert np.isfinite(terms['loss']) and min(change) > 0


@pytest.mark.parametrize('label', _OPTIONS)
def test_an_option_works_alone(label, teachers, tmp_path):
  _assert_works([label], teachers, tmp_path)


@pytest.mark.parametrize('labels', list(_groups()))
def test_options_work_together(labels, teachers, tmp_path):
  _assert_works(labels, teachers, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
  'pair',
  [
    (one, other)
    for one, other, cell in _cells()
    if cell == 'yes' and one != other
  ],
)
def test_a_pair_works_without_other_options(pair, teachers, tmp_path):
  _assert_works(pair, teachers, tmp_path)


@pytest.mark.parametrize(
  'pair', [(one, other) for one, other, cell in _cells() if cell != 'yes']
)
def test_a_pair_is_refused(pair, teachers, tmp_path):
  with pytest.raises(InputError):
    _step(_config(pair, teachers, tmp_path))


def test_the_table_names_every_option():
  assert {row for row, _, _ in _cells()} == set(_OPTIONS)
  assert {cell for _, _, cell in _cells()} == {'yes', 'no'}


@pytest.mark.parametrize('kind', ['ods', 'conf_ods'])
def test_a_cache_holds_the_views_that_a_teacher_makes(kind, teachers, tmp_path):
  labels = ['`kind=head`', '`mixup`', f'`perturbation={kind}`']
  cached = _config([*labels, '`teacher_cache`'], teachers, tmp_path)
  online = _config(labels, teachers, tmp_path)
  online.task.train_data.override({'views': 2, 'augmentation_seed': 0})
  (batch, terms, _), (other, again, _) = map(_step, (cached, online))
  assert 'draws' not in batch and other['draws'].shape == (_BATCH, 12)
  images = batch['images'].numpy()
  assert images.dtype == np.float32
  np.testing.assert_array_equal(images * 256, np.round(images * 256))
  change = np.sqrt(
    np.mean((images - np.float32(other['images'])) ** 2, (1, 2, 3))
  )
  # The change is smaller where pixels are clipped to 0..255.
  assert np.all(0.05 < change) and np.all(change < 1.01)
  for name in 'loss', 'distillation', 'cross_entropy':
    np.testing.assert_allclose(terms[name], again[name], rtol=2e-3)
  # Another size makes other views.
  larger = copy.deepcopy(cached)
  larger.task.objective.perturbation_size = 2.0
  _step(larger)
  assert len(list(tmp_path.glob('*/manifest.json'))) == 2
  assert len(list(tmp_path.glob('*/images_*.npy'))) == 4


def test_a_lost_image_file_is_made_again(teachers, tmp_path):
  config = _config(
    ['`perturbation=ods`', '`teacher_cache`'], teachers, tmp_path
  )
  batch, _, _ = _step(config)
  (lost,) = tmp_path.glob('*/images_0000.npy')
  lost.unlink()
  again, _, _ = _step(config)
  np.testing.assert_array_equal(again['images'], batch['images'])


def test_labels_may_belong_to_the_clean_images(teachers, tmp_path):
  views = ['`mixup`', '`perturbation=ods`']
  config = _config([*views, '`cross_entropy_images=clean`'], teachers, tmp_path)
  config.task.objective.weight = 0.5
  plain = _config([], teachers, tmp_path)
  (batch, terms, _), (other, own, _) = map(_step, (config, plain))
  np.testing.assert_array_equal(batch['clean_images'], other['images'])
  assert (batch['images'].numpy() != other['images'].numpy()).any()
  # Both steps are the first with the same weights, and BatchNorm takes the
  # statistics of the clean images alone.
  np.testing.assert_allclose(
    terms['cross_entropy'], own['cross_entropy'], rtol=1e-5
  )
  assert abs(terms['distillation'] / own['distillation'] - 1) > 1e-3


def test_mixed_images_have_no_labels(teachers, tmp_path):
  config = _config(['`mixup`'], teachers, tmp_path)
  config.task.objective.weight = 0.9
  with refusals.refused('task.objective.weight', 0.9):
    experiments.opened(config)


@pytest.mark.slow
def test_a_step_on_changed_views_compiles_with_static_shapes(
  teachers, tmp_path
):
  config = _config(
    ['`kind=head`', '`perturbation=conf_ods`'], teachers, tmp_path
  )
  losses = [_step(config, compiled)[1]['loss'] for compiled in (False, True)]
  np.testing.assert_allclose(*losses, rtol=1e-4)


@pytest.mark.parametrize('kind', ['knowledge', 'head'])
def test_members_with_examples_of_their_own_by_numpy(kind, teachers, tmp_path):
  config = _config(['`members_per_example=1`'], teachers, tmp_path)
  config.task.objective.kind = kind
  batch, terms, _ = _step(config)
  tf_keras.utils.set_random_seed(0)
  resolved = experiments.opened(config)
  model = resolved.config.task.model.build()
  # Each of the two members sees four of the eight examples.
  images = tf.cast(batch['images'], tf.float32)
  with layers.own_examples():
    logits = model(images, training=True).numpy()
  assert logits.shape == (2, 4, 10)
  log_probs = scipy.special.log_softmax(np.float64(logits), -1)
  labels = batch['labels'].numpy().reshape(2, 4)
  expected = -np.take_along_axis(log_probs, labels[..., None], -1).mean()
  np.testing.assert_allclose(terms['cross_entropy'], expected, rtol=1e-5)
  taught = resolved.teacher.ensemble()(batch['images'], training=False)
  probs = scipy.special.softmax(np.float64(taught), -1)
  if kind == 'head':
    probs = np.stack([probs[0, :4], probs[1, 4:]])
  else:
    probs = probs.mean(0).reshape(2, 4, 10)
  divergence = np.sum(probs * (np.log(probs) - log_probs), -1).mean()
  np.testing.assert_allclose(terms['distillation'], divergence, rtol=1e-4)


@pytest.mark.parametrize('members', [0, 2])
def test_all_members_are_the_default(members, teachers, tmp_path):
  config = _config([], teachers, tmp_path)
  config.task.train_data.members_per_example = members
  task = experiments.task(config)
  assert task.build_metrics()[0].statistics()['member_correct'].shape == [2]


def test_members_must_divide_a_batch(teachers, tmp_path):
  config = _config(['`members_per_example=1`'], teachers, tmp_path)
  config.task.train_data.global_batch_size = 9
  with refusals.refused('task.train_data.global_batch_size', 9):
    experiments.opened(config).check()
  config.task.train_data.members_per_example = 3
  with refusals.refused('task.train_data.members_per_example', 3):
    experiments.opened(config)
