"""Tests of students that also learn from images without labels."""

import copy

from uncertainty_distill import configs, evaluation, training
from uncertainty_distill.reports import provenance
from uncertainty_distill.training import loss_terms

import experiments
import numpy as np
import pytest
import refusals
import scipy.special
import tensorflow as tf

_DATA = 'task.train_data.'


@pytest.fixture(name='config', scope='module')
def _config(student):
  """The student with 24 images without labels in each batch of 32."""
  return experiments.changed(
    student,
    f'{_DATA}unlabeled=rest,{_DATA}unlabeled_share=0.75,'
    f'{_DATA}num_examples=128,trainer.train_steps=7',
  )


def _terms(config, logits, taught, labels, model):
  terms = loss_terms.loss_terms(
    config.task,
    tf.constant(logits, tf.float32),
    tf.constant(taught, tf.float32),
    tf.constant(labels),
    model,
  )
  return {name: float(value) for name, value in terms.items()}


@pytest.mark.parametrize('kind', ['knowledge', 'head'])
def test_the_loss_by_hand(config, kind):
  config = copy.deepcopy(config)
  config.task.l2 = 0.0
  config.task.objective.override({'kind': kind, 'weight': 0.6})
  config.task.objective.override({'temperature': 1.0})
  random = np.random.RandomState(0)
  logits, taught = random.randn(4, 8, 10), random.randn(4, 8, 10)
  labels = np.array([-1, 3, -1, -1, -1, 7, -1, -1])
  model = config.task.model.build()
  terms = _terms(config, logits, taught, labels, model)

  log_q = scipy.special.log_softmax(logits, -1)
  cross_entropy = -(log_q[:, 1, 3] + log_q[:, 5, 7]).mean() / 2
  p = scipy.special.softmax(taught, -1)
  p = p.mean(0) if kind == 'knowledge' else p
  distillation = np.sum(p * (np.log(p) - log_q), -1).mean()
  assert terms['cross_entropy'] == pytest.approx(cross_entropy, rel=1e-5)
  assert terms['distillation'] == pytest.approx(distillation, rel=1e-5)
  assert terms['loss'] == pytest.approx(
    0.4 * cross_entropy + 0.6 * distillation, rel=1e-5
  )
  # Of two replicas, the first has no image with a label.
  order = np.argsort(labels, kind='stable')
  halves = [
    _terms(config, logits[:, rows], taught[:, rows], labels[rows], model)
    for rows in np.split(order, 2)
  ]
  for name in 'cross_entropy', 'distillation', 'loss':
    mean = (halves[0][name] + halves[1][name]) / 2
    assert terms[name] == pytest.approx(mean, rel=1e-5)


def test_the_length_is_that_of_passes_over_the_examples_with_labels(config):
  # Each batch has 8 images with labels.
  assert configs.batches_per_epoch(config, 797) == 16
  experiment = experiments.opened(config)
  assert len(experiment.training_set) == 128
  assert len(experiment.unlabeled) == 797 - 128
  assert len(experiment.shown) == 797


def test_a_run_with_a_cache_has_the_losses_of_one_with_its_teacher(
  config, one_device, read_scalars, tmp_path
):
  views = f'{_DATA}views=2,{_DATA}augmentation_seed=0'
  cache = f'task.objective.teacher_cache={tmp_path / "cache"}'
  online, stored = (
    experiments.curves(
      experiments.changed(config, text),
      tmp_path / name,
      one_device,
      read_scalars,
    )
    for name, text in (('online', views), ('stored', f'{views},{cache}'))
  )
  for tag in 'training_loss', 'cross_entropy', 'distillation':
    for step in range(1, 8):
      assert stored[tag][step] == pytest.approx(online[tag][step], rel=2e-3)
  assert abs(online['distillation'][7] / online['distillation'][1] - 1) > 0.1
  # Only images with labels count as right or wrong: 8 in each step.
  assert (np.array([*online['accuracy'].values()]) * 8 % 1 == 0).all()
  (view,) = (tmp_path / 'cache').rglob('view_0000.npy')
  assert np.load(view).shape == (797, 1, 10)
  # Reports name the images without labels.
  student = evaluation.System('student', 0, (str(tmp_path / 'online'),))
  made = provenance.provenance(
    [student], training.Experiment(config, one_device, config), []
  )
  assert 'rest, 24 of the 32 ' in made['Images without labels']


def test_stored_predictions_teach_on_the_rest_alone(config, tmp_path):
  path = str(tmp_path / 'predictions.npz')
  labels = experiments.opened(config).dataset.train.labels
  np.savez(path, train_probs=np.eye(10)[labels])
  stored = experiments.changed(config, f'task.objective.teacher=[{path}]')
  opened = training.teacher.open_predictions(experiments.opened(stored))
  found = opened.read(0, range(len(labels)))
  np.testing.assert_array_equal(np.argmax(found[:, 0], -1), labels)
  images = str(tmp_path / 'images.npz')
  np.savez(images, images=np.zeros([3, 16, 16, 3], np.uint8))
  other = experiments.changed(stored, f'{_DATA}unlabeled={images}')
  with refusals.refused(f'{_DATA}unlabeled', images):
    training.teacher.open_predictions(experiments.opened(other))


@pytest.mark.parametrize(
  'text, name, value',
  [
    ('task.objective.kind=cross_entropy', 'unlabeled', 'rest'),
    ('task.objective.weight=0', 'unlabeled', 'rest'),
    (f'{_DATA}num_examples=0', 'num_examples', 0),
    (f'{_DATA}unlabeled_share=0.01', 'unlabeled_share', 0.01),
    (f'{_DATA}unlabeled_share=0.99', 'unlabeled_share', 0.99),
    (f'{_DATA}unlabeled_share=1', 'unlabeled_share', 1.0),
    (f'{_DATA}unlabeled_split=train', 'unlabeled_split', 'train'),
  ],
)
def test_what_teaches_nothing_is_refused(config, text, name, value):
  with refusals.refused(f'{_DATA}{name}', value):
    experiments.changed(config, text)


def test_who_learns_without_a_teacher_does_without_them(config):
  assert configs.member_config(config).task.train_data.unlabeled == ''
  assert configs.standalone_config(config).task.train_data.unlabeled == ''
