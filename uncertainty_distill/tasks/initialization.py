"""Initial weights from networks that were trained one by one."""

from __future__ import annotations

import tensorflow as tf
import tf_keras
from uncertainty_distill import configs
from uncertainty_distill import modeling
from uncertainty_distill import progress
from uncertainty_distill import teachers
from uncertainty_distill import workers
from uncertainty_distill.modeling import factorization

_ARGUMENT = 'task.initialize_from'
# Without it W0 is huge where alpha or gamma is small, thousands of times the
# networks' weights, and training diverges; the fit loses next to nothing.
_RIDGE = 0.1


def check_networks(config: configs.TaskConfig) -> None:
  """Finds out whether each member has a network to start from.

  Args:
    config: Of the task.

  Raises:
    InputError: If not.
  """
  if config.initialize_from:
    teachers.check_weights(
        config.initialize_from, config.model, _ARGUMENT, _ARGUMENT
    )


def initialize(config: configs.TaskConfig, model: tf_keras.Model) -> None:
  """Gives a BatchEnsemble the weights that are nearest to the networks'.

  They are the same for any seed. All workers take those of the chief: another
  machine's linear algebra may round in another way.

  Args:
    config: Of the task; `initialize_from` names the networks.
    model: The BatchEnsemble.

  Raises:
    InputError: If the networks cannot be loaded.
  """
  networks = teachers.load_networks(config.initialize_from, _ARGUMENT)
  strategy = tf.distribute.get_strategy()
  total = len(modeling.kernel_layers(model))
  with progress.progress_bar(
      total, 'initial weights', 'layer', shown=workers.is_chief(strategy)
  ) as bar:
    found = factorization.reconstruct_network(
        networks, config.model.rank, align=config.initialize_aligned,
        after_layer=bar.update, ridge=_RIDGE,
    )
  factorization.initialize(model, found)
  if workers.count(strategy) > 1:
    values = workers.from_chief(strategy, model.get_weights())
    for variable, value in zip(model.weights, values, strict=True):
      variable.assign(value)
