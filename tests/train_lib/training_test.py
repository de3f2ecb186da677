"""Tests of whole runs: repeated, interrupted and resumed, on replicas, logged.

All train one tiny student: WRN-10-1, a BatchEnsemble of 4, on 128 digits, for 7
steps of 32 examples, so that they end in the second epoch.
"""

import collections
import os

import numpy as np
from official.modeling import optimization
import pytest
from tensorboard.backend.event_processing import event_accumulator
import tensorflow as tf
import tf_keras

from uncertainty_distill import configs
from uncertainty_distill import data
from uncertainty_distill import metrics
from uncertainty_distill import modeling
from uncertainty_distill import progress
from uncertainty_distill import runs
from uncertainty_distill import train_lib
from uncertainty_distill.train_lib import runner

_STEPS = 7
_TEXT = (
    f'trainer.train_steps={_STEPS},trainer.steps_per_loop=1,'
    'trainer.checkpoint_interval=5,trainer.max_to_keep=3,'
    'trainer.validation_interval=4,'
    'task.train_data.num_examples=128,task.train_data.global_batch_size=32,'
    'task.validation_data.num_examples=75,'
    'task.validation_data.global_batch_size=50,'
    'task.model.sync_batch_norm=true,task.objective.temperature=2,'
    'trainer.warmup_epochs=0.5,trainer.decay_fractions=[0.7]'
)


def _one_device():
  return tf.distribute.OneDeviceStrategy('CPU:0')


@pytest.fixture(scope='module')
def teacher(tmp_path_factory):
  """Run folders of two networks that have seen some images."""
  config = configs.load_config('digits_wrn10_1', params_override=_TEXT)
  images = data.load_dataset('digits', 'train').images[:64]
  paths = train_lib.member_paths(str(tmp_path_factory.mktemp('teacher')), 2)
  for index, path in enumerate(paths):
    member = train_lib.resolve(configs.member_config(config, index))
    runs.claim_run(path, member)
    tf_keras.utils.set_random_seed(member.task.seed)
    model = modeling.build_model(**member.task.model.as_dict())
    model(images, training=True)
    tf.train.CheckpointManager(
        tf.train.Checkpoint(model=model), path, max_to_keep=1
    ).save(checkpoint_number=_STEPS)
  return paths


@pytest.fixture(scope='module')
def student(teacher):
  """The student's experiment."""
  config = configs.load_config('digits_wrn10_1', params_override=_TEXT)
  config.task.objective.teacher = tuple(teacher)
  return train_lib.resolve(config)


@pytest.fixture(scope='module')
def undisturbed(student, tmp_path_factory):
  """A run from the first step to the last, on one device."""
  path = str(tmp_path_factory.mktemp('runs') / 'undisturbed')
  return train_lib.train(student, path, _one_device())


def _tensors(run):
  """Returns everything in a run's newest checkpoint, by name."""
  reader = tf.train.load_checkpoint(run.checkpoint)
  names = [
      name for name in reader.get_variable_to_shape_map()
      # The object graph has no value; the counter counts checkpoints.
      if not name.startswith(('_CHECKPOINTABLE', 'save_counter'))
  ]
  return {name: np.asarray(reader.get_tensor(name)) for name in names}


def _weights(run, step):
  """Returns the weights and moving statistics of a run's step, by name."""
  reader = tf.train.load_checkpoint(os.path.join(run.path, f'ckpt-{step}'))
  return {
      name: np.asarray(reader.get_tensor(name))
      for name in reader.get_variable_to_shape_map()
      if name.startswith('model/') and '.OPTIMIZER_SLOT' not in name
  }


def _events(run, folder):
  """Reads a folder of event files."""
  events = event_accumulator.EventAccumulator(
      os.path.join(run.path, folder), size_guidance={'tensors': 0}
  )
  return events.Reload()


def _scalars(run, folder):
  """Returns {tag: {step: value}}."""
  events = _events(run, folder)
  return {
      tag: {e.step: float(tf.make_ndarray(e.tensor_proto))
            for e in events.Tensors(tag)}
      for tag in events.PluginTagToContent('scalars')
  }


def _assert_same_bits(ours, theirs):
  assert ours.keys() == theirs.keys()
  for name, value in ours.items():
    np.testing.assert_array_equal(theirs[name], value, err_msg=name)


def test_checkpoint_holds_the_student_and_not_the_teacher(undisturbed):
  assert undisturbed.is_complete and undisturbed.step == _STEPS
  model = undisturbed.load_model()
  names = _tensors(undisturbed)
  kinds = collections.Counter(name.split('/')[0] for name in names)
  assert kinds.keys() == {'model', 'optimizer', 'global_step'}
  slots = [name for name in names if '.OPTIMIZER_SLOT' in name]
  assert len(slots) == len(model.trainable_variables)
  assert kinds['model'] == len(model.variables) + len(slots)


def test_one_seed_gives_one_run(student, undisturbed, tmp_path):
  # Evaluation in between must not matter either.
  again = train_lib.train(student, str(tmp_path), _one_device(), evaluate=False)
  _assert_same_bits(_tensors(undisturbed), _tensors(again))
  first, second = _scalars(undisturbed, 'train'), _scalars(again, 'train')
  for tag in 'training_loss', 'accuracy', 'ece', 'nll', 'distillation':
    assert sorted(first[tag]) == list(range(1, _STEPS + 1))
    assert first[tag] == second[tag]
  assert not (tmp_path / 'clean').exists()


def test_a_stopped_run_goes_on_as_if_it_had_not_been(
    student, undisturbed, tmp_path, monkeypatch
):
  class Bar(progress.tqdm.tqdm):

    def update(self, n=1):
      super().update(n)
      if self.n == 3:
        raise KeyboardInterrupt

  path = str(tmp_path)
  with monkeypatch.context() as patched:
    patched.setattr(progress.tqdm, 'tqdm', Bar)
    with pytest.raises(KeyboardInterrupt):
      train_lib.train(student, path, _one_device())
  run = runs.open_run(path, '--run')
  assert run.step == 3 and not run.is_complete
  run = train_lib.train(student, path, _one_device())
  _assert_same_bits(_tensors(undisturbed), _tensors(run))
  for folder in 'train', 'clean':
    whole, resumed = _scalars(undisturbed, folder), _scalars(run, folder)
    for tag in whole.keys() - {'steps_per_second'}:
      assert resumed[tag][_STEPS] == whole[tag][_STEPS], tag


def test_a_complete_run_is_not_trained_again(
    student, undisturbed, monkeypatch
):
  def files():
    return {
        os.path.join(folder, name): os.stat(os.path.join(folder, name))
        for folder, _, names in os.walk(undisturbed.path) for name in names
    }

  before = files()
  monkeypatch.setattr(runner, 'Trainer', None)
  run = train_lib.train(student, undisturbed.path, _one_device())
  assert run.is_complete
  assert files() == before


def test_two_replicas_take_the_same_steps_as_one(
    student, undisturbed, tmp_path
):
  replicas = tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])
  assert replicas.num_replicas_in_sync == 2
  run = train_lib.train(student, str(tmp_path), replicas)
  one, two = _weights(undisturbed, _STEPS), _weights(run, _STEPS)
  first = _weights(undisturbed, 1)
  assert one.keys() == two.keys()
  # float32 has steps of 1e-7; sums over a batch, taken in another order, lose
  # a digit, and seven steps of training lose another one. A tensor's largest
  # value is the measure, since its small ones are sums that cancel.
  for name, value in one.items():
    scale = max(np.abs(value).max(), 1.0)
    np.testing.assert_allclose(
        two[name], value, rtol=0, atol=3e-5 * scale, err_msg=name
    )
    if 'kernel' in name:
      assert np.abs(first[name] - value).max() > 3e-3
  for folder in 'train', 'clean':
    whole, split = _scalars(undisturbed, folder), _scalars(run, folder)
    assert whole.keys() == split.keys()
    for tag in whole.keys() - {'steps_per_second'}:
      assert split[tag][_STEPS] == pytest.approx(
          whole[tag][_STEPS], rel=1e-4, abs=1e-5
      ), tag


def test_tensorboard_shows_the_loss_and_its_terms(student, undisturbed):
  scalars = _scalars(undisturbed, 'train')
  assert scalars.keys() >= {
      'training_loss', 'cross_entropy', 'distillation', 'l2', 'learning_rate',
      'accuracy', 'ece', 'nll',
  }
  objective = student.task.objective
  schedule = optimization.OptimizerFactory(
      student.trainer.optimizer_config
  ).build_learning_rate()
  for step in range(1, _STEPS + 1):
    at = {tag: values[step] for tag, values in scalars.items()}
    assert at['training_loss'] == pytest.approx(
        (1 - objective.weight) * at['cross_entropy']
        + objective.weight * at['distillation']
        + student.task.l2 * at['l2'], rel=1e-5
    )
    # That of the next step: it is read when a loop has ended.
    assert at['learning_rate'] == pytest.approx(float(schedule(step)))
    assert 0 <= at['accuracy'] <= 1 and 0 <= at['ece'] <= 1


def test_tensorboard_shows_the_clean_test_set(undisturbed):
  scalars = _scalars(undisturbed, 'clean')
  test = data.load_dataset('digits', 'test').take(75)
  figures = metrics.figures(metrics.sufficient_statistics(
      undisturbed.load_model()(test.images, training=False), test.labels
  ))
  for name in 'accuracy', 'ece', 'nll', 'gibbs_nll', 'brier':
    assert sorted(scalars[name]) == [4, _STEPS]
    assert scalars[name][_STEPS] == pytest.approx(
        float(figures[name]), rel=1e-5
    )
  events = _events(undisturbed, 'clean')
  assert list(events.PluginTagToContent('images')) == ['reliability']
  shown = events.Tensors('reliability')
  assert [event.step for event in shown] == [4, _STEPS]
  width, height, png = tf.make_ndarray(shown[-1].tensor_proto)
  picture = tf.io.decode_png(png).numpy()
  assert picture.shape[:2] == (int(height), int(width))
  assert picture.std() > 10


def test_tensorboard_shows_the_configuration(undisturbed):
  events = _events(undisturbed, 'train')
  (text,) = events.Tensors('config')
  written = tf.make_ndarray(text.tensor_proto).item().decode()
  with open(os.path.join(undisturbed.path, 'params.yaml')) as file:
    # Indented by four spaces, it is shown as it is.
    assert written == ''.join(f'    {line}' for line in file)
  hparams = events.PluginTagToContent('hparams')
  assert '_hparams_/session_start_info' in hparams
  content = hparams['_hparams_/session_start_info']
  for name in 'objective', 'ensemble_size', 'l2', 'seed', 'dataset':
    assert name.encode() in content


def test_tensorboard_has_no_other_runs(undisturbed):
  folders = {
      os.path.relpath(folder, undisturbed.path)
      for folder, _, names in os.walk(undisturbed.path)
      if any('tfevents' in name for name in names)
  }
  assert folders == {'train', 'clean'}
