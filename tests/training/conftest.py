"""The tiny student that the tests of whole runs train.

The student is a WRN-10-1, a BatchEnsemble of 4. It learns 128 digits from a
teacher in 7 steps of 32 examples, so that training ends in the second epoch.
"""

import contextlib
import os

from uncertainty_distill import configs, data, runs, training
from uncertainty_distill.runtime import progress

import experiments
import pytest
import tensorflow as tf
import tf_keras
from tensorboard.backend.event_processing import event_accumulator

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


@pytest.fixture(scope='session')
def one_device():
  """The CPU, even if there are other devices."""
  return tf.distribute.OneDeviceStrategy('CPU:0')


@pytest.fixture(scope='session')
def student(tmp_path_factory):
  """The student's experiment, whose untrained teacher has seen 64 images."""
  config = configs.load_config('digits_wrn10_1', params_override=_TEXT)
  member = training.resolve(configs.member_config(config))
  teacher = runs.claim_run(str(tmp_path_factory.mktemp('teacher')), member)
  tf_keras.utils.set_random_seed(member.task.seed)
  model = member.task.model.build()
  model(data.open_dataset('digits').train.images[:64], training=True)
  tf.train.CheckpointManager(
    tf.train.Checkpoint(model=model), teacher.path, max_to_keep=1
  ).save(checkpoint_number=_STEPS)
  config.task.objective.teacher = (teacher.path,)
  return training.resolve(config)


@pytest.fixture(scope='session')
def undisturbed(student, one_device, tmp_path_factory):
  """A run from the first step to the last, on one device."""
  path = str(tmp_path_factory.mktemp('runs') / 'undisturbed')
  return experiments.train_run(student, path, one_device)


@pytest.fixture
def interrupted_after(monkeypatch):
  """A function whose context interrupts training after a number of steps."""

  @contextlib.contextmanager
  def patched(steps):
    class Bar(progress.Bar):
      def update(self, n=1):
        super().update(n)
        if self.unit == 'step' and self.n == steps:
          raise KeyboardInterrupt

    with monkeypatch.context() as context:
      context.setattr(progress, 'Bar', Bar)
      yield

  return patched


@pytest.fixture(scope='session')
def read_events():
  """A function that reads the event files of a run's folder."""

  def read(run, folder):
    path = os.path.join(run.path, folder)
    return event_accumulator.EventAccumulator(
      path, size_guidance={'tensors': 0}
    ).Reload()

  return read


@pytest.fixture(scope='session')
def read_scalars(read_events):
  """A function that returns {name: {step: value}} of a run's folder."""

  def read(run, folder):
    events = read_events(run, folder)
    return {
      # The name is the tag without TensorBoard's section.
      tag.rpartition('/')[2]: {
        event.step: float(tf.make_ndarray(event.tensor_proto))
        for event in events.Tensors(tag)
      }
      for tag in events.PluginTagToContent('scalars')
    }

  return read
