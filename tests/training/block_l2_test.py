"""Tests of a separate L2 strength for each block of layers."""

from uncertainty_distill import configs, data, models
from uncertainty_distill.training import loss_terms as terms_lib

import experiments
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

_BATCH = 4


def _losses_and_gradients(texts, ensemble_size):
  """Returns a model and, for each override, the loss's terms and gradients."""
  config = configs.load_config(
    'digits_wrn10_1',
    params_override=(
      'task.objective.kind=cross_entropy,'
      f'task.model.ensemble_size={ensemble_size}'
    ),
  )
  tf_keras.utils.set_random_seed(0)
  task = experiments.task(config)
  model = task.build_model()
  images = tf.constant(data.open_dataset('digits').train.images[:_BATCH])
  labels = tf.constant(data.open_dataset('digits').train.labels[:_BATCH])
  found = []
  with tf.GradientTape(persistent=True) as tape:
    logits = model(images, training=True)
    for text in texts:
      configs.override_by_text(config, text)
      task_config = experiments.opened(config).config.task
      found.append(
        terms_lib.loss_terms(task_config, logits, None, labels, model)
      )
  return model, [
    (terms, tape.gradient(terms['loss'], model.trainable_variables))
    for terms in found
  ]


@pytest.mark.parametrize('ensemble_size', [1, 3])
def test_six_equal_lambdas_are_one(ensemble_size):
  l2 = 3e-4
  six = f'task.l2=7,task.block_l2={[l2] * 6}'.replace(' ', '')
  _, ((terms, gradients), (expected_terms, expected)) = _losses_and_gradients(
    [six, f'task.block_l2=[],task.l2={l2}'], ensemble_size
  )
  assert terms.keys() == expected_terms.keys()
  for name, value in terms.items():
    assert value.numpy() == expected_terms[name].numpy(), name
  for gradient, wanted in zip(gradients, expected, strict=True):
    np.testing.assert_array_equal(gradient, wanted)


@pytest.mark.parametrize('ensemble_size', [1, 3])
def test_each_lambda_is_of_its_block_alone(ensemble_size):
  strengths = [np.zeros(6), *0.5 * np.eye(6)]
  model, ((without, plain), *blocks) = _losses_and_gradients(
    [f'task.block_l2=[{",".join(map(str, s))}]' for s in strengths],
    ensemble_size,
  )
  groups = models.WideResNet(depth=10, width=1).l2_groups(model)
  touched = []
  for block, (terms, gradients) in enumerate(blocks):
    own = {v.ref() for v in groups[block]}
    squares = 0.0
    for variable, with_it, before in zip(
      model.trainable_variables, gradients, plain, strict=True
    ):
      if variable.ref() in own:
        value = variable.numpy()
        squares += np.sum(np.square(value, dtype=np.float64))
        # The gradient of 0.5 sum(w^2) is w.
        np.testing.assert_allclose(
          with_it - before, value, rtol=1e-4, atol=1e-6
        )
        touched.append(variable.name)
      else:
        np.testing.assert_array_equal(with_it, before, variable.name)
    np.testing.assert_allclose(
      terms['loss'] - without['loss'], 0.5 * squares, rtol=1e-4, atol=1e-6
    )
    np.testing.assert_array_equal(terms['l2'], without['l2'])
  # Each weight is in one block, except alpha and gamma of the ten perturbed
  # layers, which are in none.
  fast = 20 if ensemble_size > 1 else 0
  assert len(set(touched)) == len(touched)
  assert len(touched) == len(model.trainable_variables) - fast
