"""Tests of what TensorBoard shows about a run."""

import os

from uncertainty_distill import configs, data, metrics, reports
from uncertainty_distill.training import tensorboard

import experiments
import numpy as np
import pytest
import tensorflow as tf
from official.modeling import optimization


def test_loss_and_its_terms(student, undisturbed, read_scalars):
  scalars = read_scalars(undisturbed, 'train')
  assert scalars.keys() >= {
    'training_loss',
    'cross_entropy',
    'distillation',
    'l2',
    'learning_rate',
    'gradient_norm',
    'accuracy',
    'ece',
    'nll',
    *metrics.DIVERSITY,
  }
  objective = student.task.objective
  schedule = optimization.OptimizerFactory(
    student.trainer.optimizer_config
  ).build_learning_rate()
  for step in range(1, 8):
    at = {tag: values[step] for tag, values in scalars.items()}
    assert at['training_loss'] == pytest.approx(
      (1 - objective.weight) * at['cross_entropy']
      + objective.weight * at['distillation']
      + student.task.l2 * at['l2'],
      rel=1e-5,
    )
    # This is the rate of the next step, since it is read after a loop.
    assert at['learning_rate'] == pytest.approx(float(schedule(step)))
    assert 0 <= at['accuracy'] <= 1 and 0 <= at['ece'] <= 1
    # Only the steps per second count the time of evaluations and checkpoints.
    assert at['examples_per_second'] > 32 * at['steps_per_second'] > 0


def test_clean_test_set(undisturbed, read_events, read_scalars):
  scalars = read_scalars(undisturbed, 'clean')
  test = data.open_dataset('digits').test.take(75)
  figures = metrics.compute_metrics(
    metrics.sufficient_statistics(
      undisturbed.load_model()(test.images, training=False), test.labels
    )
  )
  assert figures.keys() >= {'accuracy', 'ece', 'nll', *metrics.DIVERSITY}
  for name in figures:
    assert sorted(scalars[name]) == [4, 7]
    assert scalars[name][7] == pytest.approx(float(figures[name]), rel=1e-5)
  events = read_events(undisturbed, 'clean')
  assert list(events.PluginTagToContent('images')) == [
    'calibration/reliability'
  ]
  shown = events.Tensors('calibration/reliability')
  assert [event.step for event in shown] == [4, 7]
  width, height, png = tf.make_ndarray(shown[-1].tensor_proto)
  picture = tf.io.decode_png(png).numpy()
  assert picture.shape[:2] == (int(height), int(width))
  assert picture.std() > 10


def test_of_many_loops_and_evaluations_some_are_shown(
  student, one_device, tmp_path, monkeypatch, read_events, read_scalars
):
  monkeypatch.setattr(tensorboard, '_MAX_SCALARS', 2)
  monkeypatch.setattr(tensorboard, '_MAX_PICTURES', 1)
  config = experiments.eager(student)
  config.trainer.steps_per_loop = 2
  config.trainer.summary_interval = 4
  config.trainer.validation_interval = 3
  run = experiments.train_run(config, str(tmp_path / 'run'), one_device)
  # Loops end at steps 2, 3, 5, 6 and 7. The third is the first past step 4.
  assert list(read_scalars(run, 'train')['training_loss']) == [5, 7]
  # The evaluations are at steps 3, 6 and 7.
  assert list(read_scalars(run, 'clean')['nll']) == [6, 7]
  events = read_events(run, 'clean')
  for tag in 'calibration/reliability', 'confidence/all_predictions':
    assert [event.step for event in events.Tensors(tag)] == [7]


@pytest.mark.parametrize('interval', (1, 3, 600))
@pytest.mark.parametrize('last', (1, 99, 100, 101, 1000, 4321))
def test_evaluations_shown_are_so_many_and_equally_far_apart(interval, last):
  step = tf.Variable(0)
  trainer = configs.TrainerConfig(
    train_steps=last, validation_interval=interval
  )
  manager = tensorboard.EvaluationSummaries(None, trainer, step)
  evaluated = [*range(interval, last, interval), last]
  shown = []
  for number in evaluated:
    step.assign(number)
    shown += [number] * manager.has_turn(100)
  assert min(len(evaluated), 51) <= len(shown) <= 100 and shown[-1] == last
  assert len(set(np.diff([0, *shown[:-1]]))) <= 1


def test_confidence(undisturbed, read_events):
  test = data.open_dataset('digits').test.take(75)
  logits = undisturbed.load_model()(test.images, training=False)
  probs = tf.reduce_mean(tf.nn.softmax(logits), 0).numpy()
  wrong = probs.argmax(1) != test.labels
  edges = np.linspace(0, 1, 16)
  events = read_events(undisturbed, 'clean')
  for tag, chosen in (
    ('all_predictions', slice(None)),
    ('wrong_predictions', wrong),
  ):
    shown = events.Tensors(f'confidence/{tag}')
    assert [event.step for event in shown] == [4, 7]
    left, right, heights = tf.make_ndarray(shown[-1].tensor_proto).T
    np.testing.assert_allclose(left, edges[:-1])
    np.testing.assert_allclose(right, edges[1:])
    np.testing.assert_array_equal(
      heights, np.histogram(probs.max(1)[chosen], edges)[0]
    )
    assert 0 < heights.sum() <= 75


def test_curves_over_epochs(undisturbed, read_scalars):
  curves = reports.read_curves(undisturbed)
  for folder in 'train', 'clean':
    # Four batches of 32 are an epoch of the 128 examples.
    assert curves[folder] == {
      tag: {step / 4: value for step, value in values.items()}
      for tag, values in read_scalars(undisturbed, folder).items()
    }
  assert list(curves['clean']['nll']) == [1.0, 1.75]


def test_configuration(undisturbed, read_events):
  events = read_events(undisturbed, 'train')
  (text,) = events.Tensors('config')
  written = tf.make_ndarray(text.tensor_proto).item().decode()
  with open(
    os.path.join(undisturbed.path, 'params.yaml'), encoding='utf-8'
  ) as file:
    # Markdown shows text that is indented by four spaces as it is.
    assert written == ''.join(f'    {line}' for line in file)


def test_every_figure_is_in_a_section(undisturbed, read_events):
  for folder in 'train', 'clean':
    tags = read_events(undisturbed, folder).PluginTagToContent('scalars')
    assert not [tag for tag in tags if tag.count('/') != 1]
  assert {'loss/training_loss', 'optimization/gradient_norm'} <= set(
    read_events(undisturbed, 'train').PluginTagToContent('scalars')
  )


def test_there_are_no_other_runs(undisturbed):
  folders = {
    os.path.relpath(folder, undisturbed.path)
    for folder, _, names in os.walk(undisturbed.path)
    if any('tfevents' in name for name in names)
  }
  assert folders == {'train', 'clean'}
