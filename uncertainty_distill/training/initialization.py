"""Initial weights from networks that were trained one by one."""

from __future__ import annotations

from uncertainty_distill import configs, models, reconstruction, trained
from uncertainty_distill.distribution import workers
from uncertainty_distill.runtime import progress

import tensorflow as tf
import tf_keras

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
    networks = trained.open_trained(config.initialize_from, _ARGUMENT)
    trained.check_networks(networks, config.model, _ARGUMENT)


def find_weights(
  config: configs.TaskConfig, strategy: tf.distribute.Strategy
) -> reconstruction.NetworkReconstruction:
  """Returns the BatchEnsemble nearest to the networks, the same for any seed.

  Args:
    config: Of the task; `initialize_from` names the networks.
    strategy: Of the model.

  Raises:
    InputError: If the networks cannot be loaded.
  """
  networks = trained.open_trained(config.initialize_from, _ARGUMENT).networks()
  with progress.progress_bar(
    len(models.kernel_layers(networks[0])),
    'initial weights',
    'layer',
    shown=workers.is_chief(strategy),
  ) as bar:
    return reconstruction.reconstruct_network(
      networks,
      config.model.rank,
      align=config.initialize_aligned,
      after_layer=bar.update,
      ridge=_RIDGE,
    )


def set_weights(
  model: tf_keras.Model,
  found: reconstruction.NetworkReconstruction,
  strategy: tf.distribute.Strategy,
) -> None:
  """Gives a model the weights that were found, on all workers the chief's.

  Another machine's linear algebra may round in another way, and replicas that
  begin apart stay apart.

  Args:
    model: A BatchEnsemble.
    found: Its weights.
    strategy: Of the model.
  """
  reconstruction.initialize(model, found)
  if workers.count(strategy) > 1:
    values = workers.from_chief(strategy, model.get_weights())
    for variable, value in zip(model.weights, values, strict=True):
      variable.assign(value)
