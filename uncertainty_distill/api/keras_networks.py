"""Public functions: BatchEnsembles of any Keras network."""

from __future__ import annotations

from collections.abc import Mapping

from uncertainty_distill import models, ranges

import numpy as np
import tf_keras

_SEVERAL = ranges.Range(
  lambda x: isinstance(x, int) and x >= 2, 'an integer of at least 2'
)


def batch_ensemble(
  model: tf_keras.Model,
  ensemble_size: int = 4,
  rank: int = 1,
  *,
  fast_weights: str = 'normal',
  fast_weight_stddev: float = 0.5,
  norm: str = 'shared',
  keep: Mapping[str, str] | None = None,
  perturb: str = 'auto',
) -> models.BatchEnsemble:
  """Turns any tf_keras network into a BatchEnsemble of several members.

  Member e multiplies the weights of every convolution and dense layer by
  alpha_e gamma_e^T, one vector for the input channels and one for the output
  channels (Wen, Tran and Ba, 2020), and has its own biases. All other weights
  are shared, so that the members together are hardly larger than one network.

  The result trains with `compile` and `fit`: `MemberCrossEntropy` is the loss,
  `EnsembleMetrics` are the metrics, and `predict` returns [E, N, K]. Its
  `compile` also takes `fast_weight_learning_rate_multiplier`, the factor of the
  learning rate of alpha and gamma.

  Args:
    model: A functional or Sequential model of images [B, ...] -> logits or
      probabilities [B, K], or other features [B, ...]. It may contain nested
      networks, and layers that are used several times. It is not changed.
    ensemble_size: The number of members E, at least 2.
    rank: The rank of the members' perturbations of the weights.
    fast_weights: The initial values of alpha and gamma: `normal` (drawn from
      N(1, `fast_weight_stddev`^2)), `signs` (-1 or 1 at random), `ones` (every
      member is the given network, and with rank 1 members that see the same
      examples stay the same), or `first_layer_signs` (signs in the first layer,
      ones elsewhere).
    fast_weight_stddev: The standard deviation for `normal`. A trained network
      keeps what it has learned only if this value is small, such as 0.1, and
      the rank is 1: perturbations of rank k have a mean of k. `ones` keeps it
      with any rank.
    norm: `shared`: BatchNorm, LayerNorm and GroupNorm are the same for all
      members; `member`: each member has its own.
    keep: The layers that the members share unchanged, `{'name': 'shared'}`. A
      name may be a path, `backbone/stem`. Layers of unknown kinds that have
      weights are refused unless they are named here.
    perturb: What alpha and gamma multiply: `weights`, `activations`, or `auto`
      for whichever is cheaper. All three compute the same function.

  Returns:
    A model of images [B, ...] -> float32 [E, B, ...] that starts from the
    weights of the given model. It can be saved as a `.keras` file.

  Raises:
    InputError: If an argument is out of its range, or if the model is one of
      Keras 3, has no graph, has several inputs or outputs, or has a layer that
      cannot be converted.

  Examples:
    >>> import tf_keras
    >>> layers = tf_keras.layers
    >>> plain = tf_keras.Sequential([
    ...   tf_keras.Input((8, 8, 3)), layers.Conv2D(4, 3, activation='relu'),
    ...   layers.GlobalAveragePooling2D(), layers.Dense(10),
    ... ])
    >>> model = ud.batch_ensemble(plain, ensemble_size=4)
    >>> model.compile('adam', ud.MemberCrossEntropy())
    >>> model.predict(np.zeros([5, 8, 8, 3]), verbose=0).shape
    (4, 5, 10)
    >>> plain.count_params(), model.count_params()
    (162, 288)
  """
  ensemble_size, rank = (
    int(x) if isinstance(x, np.integer) else x for x in (ensemble_size, rank)
  )
  _SEVERAL.check('ensemble_size', ensemble_size)
  return models.batch_ensemble(  # pyright: ignore[reportReturnType]
    model,
    ensemble_size,
    rank,
    fast_weights=fast_weights,
    fast_weight_stddev=fast_weight_stddev,
    norm=norm,
    keep=keep,
    perturb=perturb,
  )


def member(model: tf_keras.Model, index: int) -> tf_keras.Model:
  """Returns one member of a BatchEnsemble as a plain network.

  Alpha and gamma are multiplied into its kernels.

  Args:
    model: The model that `batch_ensemble` returned. It is not changed.
    index: The index of the member, from 0 to E - 1.

  Returns:
    A functional model of images [B, ...] -> [B, ...] with weights of its own.
    Its `get_weights()` fit the network that `batch_ensemble` was given.

  Raises:
    InputError: If the model is not a BatchEnsemble, or has no such member.

  Examples:
    >>> import tf_keras
    >>> plain = tf_keras.Sequential([
    ...   tf_keras.Input((4,)), tf_keras.layers.Dense(3),
    ... ])
    >>> model = ud.batch_ensemble(plain, ensemble_size=2)
    >>> one, rows = ud.member(model, 1), np.ones([5, 4])
    >>> np.allclose(one(rows), model(rows)[1], atol=1e-5)
    True
  """
  return models.member(model, index)
