"""Tests of an L2 of its own for each block of layers."""

from uncertainty_distill import configs, data, models
from uncertainty_distill.training import loss_terms as terms_lib

import experiments
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

_BATCH = 4


def _loss_and_gradients(text, ensemble_size):
  """Returns the terms and {name of a variable: gradient}, after one seed."""
  config = configs.load_config(
    'digits_wrn10_1',
    params_override=(
      'task.objective.kind=cross_entropy,'
      f'task.model.ensemble_size={ensemble_size},{text}'
    ),
  )
  tf_keras.utils.set_random_seed(0)
  task = experiments.task(config)
  model = task.build_model()
  images = tf.constant(data.open_dataset('digits').train.images[:_BATCH])
  labels = tf.constant(data.open_dataset('digits').train.labels[:_BATCH])
  with tf.GradientTape() as tape:
    logits = model(images, training=True)
    terms = terms_lib.loss_terms(task.task_config, logits, None, labels, model)
  gradients = tape.gradient(terms['loss'], model.trainable_variables)
  return model, terms, [g.numpy() for g in gradients]


@pytest.mark.parametrize('ensemble_size', [1, 3])
def test_six_equal_lambdas_are_one(ensemble_size):
  l2 = 3e-4
  one = _loss_and_gradients(f'task.l2={l2}', ensemble_size)
  six = _loss_and_gradients(
    f'task.l2=7,task.block_l2={[l2] * 6}'.replace(' ', ''), ensemble_size
  )
  assert one[1].keys() == six[1].keys()
  for name, value in one[1].items():
    assert value.numpy() == six[1][name].numpy(), name
  for ours, theirs in zip(one[2], six[2], strict=True):
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize('ensemble_size', [1, 3])
def test_each_lambda_is_of_its_block_alone(ensemble_size):
  none = 'task.block_l2=[0,0,0,0,0,0]'
  _, without, plain = _loss_and_gradients(none, ensemble_size)
  touched = []
  for block in range(6):
    strengths = ['0'] * 6
    strengths[block] = '0.5'
    model, terms, gradients = _loss_and_gradients(
      f'task.block_l2=[{",".join(strengths)}]', ensemble_size
    )
    groups = models.WideResNet(depth=10, width=1).l2_groups(model)
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
  # All but alpha and gamma of the ten perturbed layers, each once.
  fast = 20 if ensemble_size > 1 else 0
  assert len(set(touched)) == len(touched)
  assert len(touched) == len(model.trainable_variables) - fast
