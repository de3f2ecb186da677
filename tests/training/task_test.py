"""Tests of the task's loss and step against numbers computed independently."""

from uncertainty_distill import configs, data, metrics, runs

import experiments
import numpy as np
import pytest
import refusals
import scipy.special
import tensorflow as tf
import tf_keras

_BATCH = 8
_RATE = 0.05


def _resolved(text, member=False):
  # No warm-up and no decay: a constant learning rate of 0.1 * 64 / 128.
  config = configs.load_config(
    'digits_wrn10_1',
    params_override=(
      'trainer.train_steps=1,trainer.decay_fractions=[],'
      'teacher.decay_fractions=[],trainer.warmup_epochs=0,'
      f'task.model.ensemble_size=2,{text}'
    ),
  )
  config = configs.member_config(config) if member else config
  return configs.resolve(config, data.open_dataset('digits'))


@pytest.fixture(scope='module')
def teacher(tmp_path_factory):
  """Run folders of two networks with moving statistics of their own."""
  paths = []
  for index in range(2):
    path = str(tmp_path_factory.mktemp('teacher'))
    run = runs.claim_run(path, _resolved('', member=True))
    tf_keras.utils.set_random_seed(100 + index)
    model = run.config.task.model.build()
    model(_batch()['images'], training=True)
    tf.train.CheckpointManager(
      tf.train.Checkpoint(model=model), path, max_to_keep=1
    ).save(checkpoint_number=1)
    paths.append(path)
  return paths


def _batch(seed=0):
  generator = np.random.default_rng(seed)
  images = generator.integers(256, size=(_BATCH, 16, 16, 3))
  return {
    'images': tf.constant(images, tf.uint8),
    'labels': tf.constant(generator.integers(10, size=_BATCH), tf.int32),
  }


class _Training:
  """A task and what its train step needs, with fixed initial weights."""

  def __init__(self, text):
    config = _resolved(text)
    tf_keras.utils.set_random_seed(0)
    self.task = experiments.task(config)
    self.model = self.task.build_model()
    self.optimizer = self.task.create_optimizer(
      config.trainer.optimizer_config, config.runtime
    )
    self.metrics = self.task.build_metrics(training=True)
    self.fast = {
      variable.ref()
      for layer in self.model.layers
      if hasattr(layer, 'alpha')
      for variable in (layer.alpha, layer.gamma)
    }

  def step(self, batch):
    return self.task.train_step(batch, self.model, self.optimizer, self.metrics)

  def weights(self):
    return [v.numpy() for v in self.model.trainable_variables]

  def is_fast(self):
    return [v.ref() in self.fast for v in self.model.trainable_variables]


def _kl(p, q):
  return np.sum(p * (np.log(p) - np.log(q)), axis=-1)


@pytest.mark.parametrize('kind', ['knowledge', 'head', 'cross_entropy'])
def test_loss_by_numpy(kind, teacher):
  weight, temperature, smoothing, l2, decay = 0.7, 2.0, 0.1, 1e-3, 0.2
  training = _Training(
    f'task.objective.kind={kind},task.objective.weight={weight},'
    f'task.objective.temperature={temperature},task.l2={l2},'
    f'task.objective.label_smoothing={smoothing},'
    f'task.fast_weight_decay={decay},'
    f'task.objective.teacher=[{",".join(teacher)}]'
  )
  batch = _batch()
  logits = training.model(batch['images'], training=True).numpy()
  weights = training.weights()
  distance = sum(
    np.sum(np.square(w - 1.0, dtype=np.float64))
    for w, is_fast in zip(weights, training.is_fast())
    if is_fast
  ) / len(logits)
  squares = sum(
    np.sum(np.square(w, dtype=np.float64))
    for w, is_fast in zip(weights, training.is_fast())
    if not is_fast
  )
  target = np.eye(10)[batch['labels']] * (1 - smoothing) + smoothing / 10
  cross_entropy = -np.mean(
    np.sum(
      target * scipy.special.log_softmax(logits.astype(np.float64), -1), -1
    )
  )
  terms = training.step(batch)

  loss = cross_entropy + l2 * squares + decay * distance
  names = {'cross_entropy', 'l2', 'fast_weight_decay', 'loss', 'gradient_norm'}
  if kind != 'cross_entropy':
    taught = [
      runs.open_run(path, '--run').load_model()(batch['images'])[0].numpy()
      for path in teacher
    ]
    p = scipy.special.softmax(np.stack(taught) / temperature, -1)
    q = scipy.special.softmax(logits / temperature, -1)
    p = p if kind == 'head' else p.mean(0)
    distillation = temperature**2 * np.mean(_kl(p, q))
    assert distillation > 0.01
    np.testing.assert_allclose(terms['distillation'], distillation, rtol=1e-4)
    loss += weight * (distillation - cross_entropy)
    names.add('distillation')
  assert terms.keys() == names
  np.testing.assert_allclose(terms['cross_entropy'], cross_entropy, rtol=1e-5)
  np.testing.assert_allclose(terms['l2'], squares, rtol=1e-5)
  np.testing.assert_allclose(terms['fast_weight_decay'], distance, rtol=1e-5)
  np.testing.assert_allclose(terms['loss'], loss, rtol=1e-5)

  # The metrics hold the same numbers, and the statistics of these logits.
  statistics, *means = training.metrics
  assert {mean.name for mean in means} == names - {'loss'}
  for mean in means:
    np.testing.assert_allclose(mean.result(), terms[mean.name], rtol=1e-6)
  expected = metrics.sufficient_statistics(logits, batch['labels'])
  for name, value in statistics.statistics().items():
    np.testing.assert_allclose(value, expected[name], rtol=1e-5)


@pytest.mark.parametrize('multiplier', [1.0, 0.5])
def test_two_steps_of_nesterov_by_hand(multiplier):
  l2 = 1e-2
  training = _Training(
    f'task.objective.kind=cross_entropy,task.l2={l2},'
    f'task.fast_weight_learning_rate_multiplier={multiplier}'
  )
  # Alpha and gamma of the stem, of three blocks of two layers, of two shortcuts
  # and of the dense layer.
  assert sum(training.is_fast()) == 2 * 10
  weights = training.weights()
  velocities = [np.zeros_like(w) for w in weights]
  model = training.model
  for seed in range(2):
    batch = _batch(seed)
    with tf.GradientTape() as tape:
      log_probs = tf.nn.log_softmax(model(batch['images'], training=True))
      loss = -tf.reduce_mean(
        tf.gather(
          log_probs, tf.stack([batch['labels']] * 2), batch_dims=2, axis=2
        )
      )
    gradients = tape.gradient(loss, model.trainable_variables)
    squares = 0.0
    for i, is_fast in enumerate(training.is_fast()):
      gradient = gradients[i].numpy()
      gradient += 0.0 if is_fast else 2 * l2 * weights[i]
      squares += np.sum(gradient.astype(np.float64) ** 2)
      rate = _RATE * (multiplier if is_fast else 1.0)
      velocities[i] = 0.9 * velocities[i] - rate * gradient
      weights[i] = weights[i] + 0.9 * velocities[i] - rate * gradient
    terms = training.step(batch)
    # The norm of the loss's gradient, before the step scales parts of it.
    np.testing.assert_allclose(
      terms['gradient_norm'], np.sqrt(squares), rtol=1e-4
    )
    for variable, expected in zip(model.trainable_variables, weights):
      np.testing.assert_allclose(
        variable, expected, rtol=1e-4, atol=1e-5, err_msg=variable.name
      )


def test_teacher_is_left_alone(teacher):
  training = _Training(
    'task.objective.kind=knowledge,'
    f'task.objective.teacher=[{",".join(teacher)}]'
  )
  taught = training.task._ensemble
  assert not taught.trainable_variables
  before = [v.numpy() for v in taught.variables]
  # The variables of two networks: kernels, scales, moving means and so on.
  assert len(before) == 2 * len(
    runs.open_run(teacher[0], '--run').load_model().variables
  )
  moving = [v.numpy() for v in training.model.non_trainable_variables]
  assert moving
  training.step(_batch())
  for variable, value in zip(taught.variables, before, strict=True):
    np.testing.assert_array_equal(variable, value)
  # The student's own moving statistics change.
  for variable, value in zip(training.model.non_trainable_variables, moving):
    assert np.abs(variable.numpy() - value).max() > 0
  learned = {v.ref() for v in training.model.variables}
  assert not learned & {v.ref() for v in taught.variables}


def test_head_distillation_wants_as_many_members(teacher):
  text = f'task.objective.kind=head,task.objective.teacher=[{teacher[0]}]'
  with refusals.refused('task.objective.kind', 'head'):
    _Training(text)
  # Knowledge distillation takes any number.
  _Training(text.replace('head', 'knowledge'))


def test_step_compiles_with_static_shapes(teacher):
  text = (
    'task.objective.kind=head,task.objective.temperature=2,'
    f'task.objective.teacher=[{",".join(teacher)}]'
  )
  batch = _batch()
  losses, weights = [], []
  for jit_compile in False, True:
    training = _Training(text)
    step = training.step
    if jit_compile:
      step = tf.function(step, jit_compile=True, autograph=False)
    losses.append(step(batch))
    weights.append(training.weights())
    assert float(training.metrics[0].statistics()['count']) == _BATCH
  for name, value in losses[0].items():
    np.testing.assert_allclose(losses[1][name], value, rtol=1e-4, err_msg=name)
  for eager, compiled in zip(*weights):
    np.testing.assert_allclose(compiled, eager, rtol=1e-3, atol=1e-4)
