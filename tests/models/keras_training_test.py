"""Tests of `compile`, `fit`, `evaluate` and `predict` of a BatchEnsemble."""

from uncertainty_distill import losses, metrics, models

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from refusals import refused

_MULTIPLIER = 'fast_weight_learning_rate_multiplier'
# The number of examples is no multiple of the batch size.
_COUNT, _BATCH = 5, 2


def _data(count=_COUNT, classes=3):
  generator = np.random.default_rng(0)
  images = generator.normal(size=(count, 6, 6, 2)).astype(np.float32)
  return images, generator.integers(0, classes, count)


def _model(members=2, activation=None, **options):
  tf_keras.utils.set_random_seed(0)
  layer = tf_keras.layers
  plain = tf_keras.Sequential(
    [
      tf_keras.Input((6, 6, 2)),
      layer.Conv2D(4, 3, activation='relu'),
      layer.BatchNormalization(),
      layer.GlobalAveragePooling2D(),
      layer.Dense(3, activation=activation),
    ]
  )
  return models.batch_ensemble(plain, members, **options)


def _compiled(optimizer='sgd', **options):
  model = _model(members=3)
  model.compile(
    optimizer,
    losses.MemberCrossEntropy(),
    [metrics.EnsembleMetrics(3, ('accuracy', 'nll', 'ece', 'pairwise_kl'))],
    **options,
  )
  return model


@pytest.mark.parametrize('count', [1, _COUNT, 9])
def test_predict_has_the_members_first(count):
  images, _ = _data(count)
  model = _model(members=3)
  want = model(images)
  assert want.shape == (3, count, 3)
  for found in (
    model.predict(images, batch_size=4, verbose=0),
    model.predict(
      tf.data.Dataset.from_tensor_slices(images).batch(4), verbose=0
    ),
    model.predict_on_batch(images),
    # As a list or a dict, as data for several inputs are given.
    model.predict([images], batch_size=4, verbose=0),
    model({'images': images}),
  ):
    np.testing.assert_allclose(found, want, atol=1e-6)


def test_predicts_features():
  images = np.ones([5, 4, 4, 2], np.float32)
  plain = tf_keras.Sequential(
    [tf_keras.Input((4, 4, 2)), tf_keras.layers.Conv2D(3, 1)]
  )
  model = models.batch_ensemble(plain, 2)
  found = model.predict(images, batch_size=2, verbose=0)
  np.testing.assert_allclose(found, model(images), atol=1e-6)


def test_evaluates_every_example_once():
  images, labels = _data()
  model = _compiled()
  found = model.evaluate(
    images, labels, batch_size=_BATCH, verbose=0, return_dict=True
  )
  want = metrics.compute_metrics(
    metrics.sufficient_statistics(model(images), labels)
  )
  assert found.keys() == {'loss', 'accuracy', 'nll', 'ece', 'pairwise_kl'}
  for name in found.keys() - {'loss'}:
    assert found[name] == pytest.approx(float(want[name]), rel=1e-5), name
  # The loss is the mean over members of each member's NLL.
  assert found['loss'] == pytest.approx(float(want['gibbs_nll']), rel=1e-5)


def test_losses_of_activities_are_counted_once():
  images, labels = _data(20)
  layer = tf_keras.layers
  plain = tf_keras.Sequential(
    [
      tf_keras.Input((6, 6, 2)),
      layer.Flatten(),
      layer.Dense(4, activity_regularizer='l2'),
      layer.Dense(3),
    ]
  )
  model = models.batch_ensemble(plain, 3, perturb='weights')
  model.compile('sgd', losses.MemberCrossEntropy())
  model(images, training=True)
  (penalty,) = model.losses
  want = losses.MemberCrossEntropy()(labels, model(images)) + penalty
  batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(20)
  for values in (images, labels), (batches,):
    found = model.evaluate(
      *values, batch_size=20 if values[1:] else None, verbose=0
    )
    assert found == pytest.approx(float(want), rel=1e-5)


def test_sample_weights_count_examples():
  images, labels = _data()
  model = _model()
  model.compile(
    'sgd',
    losses.MemberCrossEntropy(),
    weighted_metrics=[metrics.EnsembleMetrics(2, ('accuracy', 'nll'))],
  )
  weights = np.array([2.0, 0.0, 1.0, 0.0, 1.0])
  found = model.evaluate(
    images, labels, _BATCH, 0, sample_weight=weights, return_dict=True
  )
  rows = [0, 0, 2, 4]
  want = metrics.compute_metrics(
    metrics.sufficient_statistics(model(images[rows]), labels[rows])
  )
  assert found['accuracy'] == pytest.approx(float(want['accuracy']))
  assert found['nll'] == pytest.approx(float(want['nll']), rel=1e-5)
  # Keras divides by the number of all examples, even if their weight is 0.
  assert found['loss'] == pytest.approx(
    float(want['gibbs_nll']) * 4 / 5, rel=1e-5
  )


def test_fits():
  images, labels = _data(20)
  model = _compiled(tf_keras.optimizers.Adam(0.02))
  history = model.fit(
    images, labels, batch_size=8, epochs=15, verbose=0,
    validation_data=(images, labels),
  ).history  # fmt: skip
  assert history['loss'][-1] < history['loss'][0]
  assert {'nll', 'val_nll', 'val_loss'} <= history.keys()


def test_learns_from_probabilities():
  images, labels = _data(7)
  model = _model()
  loss = losses.MemberCrossEntropy(label_smoothing=0.3)
  soft = tf.one_hot(labels, 3)
  np.testing.assert_allclose(
    loss.call(soft, model(images)), loss.call(labels, model(images)), rtol=1e-5
  )
  model.compile('sgd', losses.MemberCrossEntropy())
  teacher = np.random.default_rng(1).dirichlet(np.ones(3), 7)
  found = model.evaluate(images, teacher, 2, verbose=0)
  log_probs = tf.nn.log_softmax(model(images))
  want = -np.mean(np.sum(teacher * log_probs, -1))
  assert found == pytest.approx(want, rel=1e-5)
  with refused('y_true', [7, 2]):
    loss.call(soft[:, :2], model(images))


def test_probabilities_may_come_out():
  images, labels = _data()
  logits, probs = _model(), _model(activation='softmax')
  probs.set_weights(logits.get_weights())
  found = []
  for model, are_logits in (logits, True), (probs, False):
    loss = losses.MemberCrossEntropy(are_logits)
    measure = metrics.EnsembleMetrics(2, from_logits=are_logits)
    measure.update_state(labels[:, None], model(images))
    found.append([loss(labels, model(images)), *measure.result().values()])
  np.testing.assert_allclose(*found, rtol=1e-5)


def test_objects_are_read_back():
  loss = losses.MemberCrossEntropy(False, 0.25)
  measure = metrics.EnsembleMetrics(3, ('nll',), False)
  for made in loss, measure:
    twin = type(made).from_config(made.get_config())
    assert twin.get_config() == made.get_config()
  with refused('label_smoothing', 1.0):
    losses.MemberCrossEntropy(label_smoothing=1.0)
  with refused('names', 'auc', 'one of accuracy'):
    metrics.EnsembleMetrics(3, ('auc',))


_OPTIMIZERS = {
  'SGD': {'momentum': 0.9, 'nesterov': True},
  'Adam': {'clipnorm': 0.01},
  'AdamW': {'weight_decay': 0.1},
  'RMSprop': {'momentum': 0.5},
  'Adagrad': {},
  'Lion': {},
}


@pytest.mark.parametrize('name', _OPTIMIZERS)
def test_the_multiplier_is_a_learning_rate(name):
  images, labels = _data()
  kind = getattr(tf_keras.optimizers, name)
  model, by_hand = _model(), _model()
  loss = losses.MemberCrossEntropy()
  model.compile(kind(0.1, **_OPTIMIZERS[name]), loss, **{_MULTIPLIER: 0.25})
  model.fit(images, labels, _BATCH, 2, 0, shuffle=False)
  # By hand, each of the two learning rates has an optimizer of its own.
  fast = models.fast_weights(by_hand)
  known = {variable.ref() for variable in fast}
  rest = [v for v in by_hand.trainable_variables if v.ref() not in known]
  parts = [
    (kind(rate, **_OPTIMIZERS[name]), variables)
    for rate, variables in ((0.1, rest), (0.025, fast))
  ]
  for _ in range(2):
    for start in range(0, _COUNT, _BATCH):
      rows = slice(start, start + _BATCH)
      with tf.GradientTape(persistent=True) as tape:
        value = loss(labels[rows], by_hand(images[rows], training=True))
      for optimizer, variables in parts:
        optimizer.apply_gradients(
          zip(tape.gradient(value, variables), variables)
        )
  for found, want in zip(model.weights, by_hand.weights):
    np.testing.assert_allclose(found, want, rtol=2e-4, atol=2e-5)


def test_refuses_a_multiplier_that_would_be_none():
  model = _model()
  for optimizer in (
    tf_keras.optimizers.Ftrl(),
    tf_keras.optimizers.Adam(use_ema=True),
  ):
    with refused(_MULTIPLIER, 0.5):
      model.compile(optimizer, 'mse', **{_MULTIPLIER: 0.5})
    model.compile(optimizer, 'mse')
  with refused(_MULTIPLIER, -1):
    model.compile('sgd', 'mse', **{_MULTIPLIER: -1})


def test_replicas_train_as_one(replicas):
  images, labels = _data(8)
  weights = []
  for strategy in tf.distribute.get_strategy(), replicas:
    with strategy.scope():
      # Each replica has its own BatchNorm statistics, so BatchNorm is frozen.
      model = _model()
      for layer in model.layers:
        if isinstance(layer, tf_keras.layers.BatchNormalization):
          layer.trainable = False
      model.compile(
        tf_keras.optimizers.Adam(0.1),
        losses.MemberCrossEntropy(),
        [metrics.EnsembleMetrics(2)],
        **{_MULTIPLIER: 0.25},
      )
    model.fit(images, labels, 4, 2, 0, shuffle=False)
    weights.append(model.get_weights())
  for one, other in zip(*weights):
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_training_goes_on_from_a_file(tmp_path):
  images, labels = _data()
  model = _compiled(**{_MULTIPLIER: 0.25})
  model.fit(images, labels, _BATCH, 1, 0, shuffle=False)
  model.save(tmp_path / 'saved.keras')
  loaded = tf_keras.models.load_model(tmp_path / 'saved.keras')
  for trained in model, loaded:
    trained.fit(images, labels, _BATCH, 1, 0, shuffle=False)
  for one, other in zip(model.weights, loaded.weights):
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
  assert loaded.get_compile_config()[_MULTIPLIER] == 0.25


@pytest.mark.parametrize('dtype', ['float16', 'float32', 'float64'])
def test_metrics_take_probabilities_of_any_type(dtype):
  names = 'accuracy', 'nll', 'disagreement'
  measured = metrics.EnsembleMetrics(2, names, from_logits=False)
  measured.update_state([0], np.array([[[1, 0]], [[0, 1]]], dtype))
  found = {k: float(v) for k, v in measured.result().items()}
  assert found == pytest.approx(
    {'accuracy': 1, 'nll': np.log(2), 'disagreement': 1}
  )
  alone = metrics.EnsembleMetrics(1, names, from_logits=False)
  alone.update_state([0], [[[0.5, 0.5]]])
  assert float(alone.result()['disagreement']) == 0
