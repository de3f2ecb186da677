"""The devices to train on, and their description."""

from __future__ import annotations

from uncertainty_distill import configs
from uncertainty_distill.distribution import clusters, workers
from uncertainty_distill.errors import InputError, first_line
from uncertainty_distill.runtime import signals

import tensorflow as tf
import threadpoolctl
from official.common import distribute_utils


def make_strategy(runtime: configs.RuntimeConfig) -> tf.distribute.Strategy:
  """Chooses the devices: the TPU if one is named, else all GPUs, else the CPU.

  Several workers connect here. Then the call must precede all TensorFlow
  operations, and returns when the last worker has connected.

  Args:
    runtime: The devices and threads to use. `tpu` names a TPU; `local` is the
      machine's own TPU. With the default `distribution_strategy` and a
      `num_gpus` of 0, all GPUs are used. With `multi_worker_mirrored`,
      TF_CONFIG says which workers train together.

  Raises:
    InputError: If the requested devices do not exist, if TF_CONFIG is wrong, or
      if TensorFlow already works with another number of threads.
  """
  _set_threads(runtime.num_threads)
  kind, num_gpus = runtime.distribution_strategy, runtime.num_gpus
  present = len(tf.config.list_physical_devices('GPU'))
  if num_gpus > present:
    raise InputError(
      'runtime.num_gpus',
      num_gpus,
      f'at most {present}, the number of GPUs of this machine',
    )
  cluster = clusters.read_cluster(runtime)
  if cluster is not None and num_gpus not in (0, present):
    raise InputError(
      'runtime.num_gpus',
      num_gpus,
      f'0, to use all {present} GPUs of each worker',
      'to use fewer, set CUDA_VISIBLE_DEVICES',
    )
  if runtime.tpu is not None:
    kind, num_gpus = 'tpu', 0
  elif kind == 'mirrored':
    num_gpus = num_gpus or present
    kind = 'mirrored' if num_gpus > 1 else 'one_device'
  try:
    # While TensorFlow waits for other workers, it holds Python's lock, so that
    # Python cannot handle signals. It also replaces the handler of SIGTERM,
    # which is restored afterwards.
    with signals.restore_defaults():
      return distribute_utils.get_distribution_strategy(
        distribution_strategy=kind,
        num_gpus=num_gpus,
        all_reduce_alg=runtime.all_reduce_alg,
        num_packs=runtime.num_packs,
        tpu_address=runtime.tpu,
      )
  except (ValueError, RuntimeError, OSError, tf.errors.OpError) as error:
    reason = first_line(error)
    raise _unreachable(kind, runtime, cluster, reason) from error


def _set_threads(number: int) -> None:
  """Sets the number of threads of TensorFlow, OpenMP and BLAS, if not 0."""
  if not number:
    return
  threading = tf.config.threading
  try:
    threading.set_intra_op_parallelism_threads(number)
    threading.set_inter_op_parallelism_threads(number)
  except RuntimeError as error:
    raise InputError(
      'runtime.num_threads',
      number,
      f'{threading.get_intra_op_parallelism_threads()}, the number of threads '
      'that TensorFlow already uses in this process',
    ) from error
  threadpoolctl.threadpool_limits(number)


def _unreachable(kind, runtime, cluster, reason: str) -> InputError:
  """Returns the error for devices that TensorFlow cannot use."""
  if cluster is not None:
    return InputError(
      'TF_CONFIG',
      str(cluster),
      'a cluster whose workers can be reached',
      reason,
    )
  if kind != 'tpu':
    return InputError(
      'runtime.distribution_strategy',
      runtime.distribution_strategy,
      'a strategy that this machine can run',
      reason,
    )
  return InputError(
    'runtime.tpu',
    runtime.tpu,
    'a TPU that can be reached',
    f'leave it out to use GPUs or the CPU ({reason})',
  )


def describe(
  strategy: tf.distribute.Strategy,
  config: configs.ExperimentConfig,
  training: bool = True,
) -> str:
  """Returns a line with the devices of a step and the batch of each replica.

  Args:
    strategy: The devices.
    config: The experiment.
    training: Whether the steps train rather than evaluate.

  Raises:
    InputError: If the replicas do not divide a batch.
  """
  replicas = strategy.num_replicas_in_sync
  task = config.task
  members = task.model.ensemble_size
  _check_batches(task, replicas, training)
  batch = (
    task.train_data if training else task.validation_data
  ).global_batch_size
  seen_by = task.members_per_example if training else 1
  text = (
    f'{replicas} x {device_type(strategy)} ({_name(strategy)}): '
    f'{batch} examples a step, {batch // replicas} a replica'
  )
  # A Hydra's heads share the rows of its body.
  if training and members > 1 and task.model.ensemble_type != 'hydra':
    of = 'the' if seen_by == members else f'{seen_by} of the'
    text += f' ({batch // replicas * seen_by} rows with {of} {members} members)'
  return text


def _check_batches(
  task: configs.TaskConfig, replicas: int, training: bool
) -> None:
  """Raises an InputError if the replicas do not divide a batch."""
  batches = {'validation_data': task.validation_data}
  if training:
    batches = {'train_data': task.train_data, **batches}
  for name, data in batches.items():
    if data.global_batch_size % replicas:
      raise InputError(
        f'task.{name}.global_batch_size',
        data.global_batch_size,
        f'a multiple of the {replicas} replicas',
      )
  members, batch = task.model.ensemble_size, task.train_data.global_batch_size
  groups = replicas * members
  if training and task.members_per_example < members and batch % groups:
    raise InputError(
      'task.train_data.global_batch_size',
      batch,
      f'a multiple of {groups}, the number of replicas times the number of '
      'members, because task.train_data.members_per_example gives each member '
      'examples of its own',
    )


def _name(strategy: tf.distribute.Strategy) -> str:
  number = workers.count(strategy)
  if number == 1:
    return type(strategy).__name__
  role = 'the chief' if workers.is_chief(strategy) else 'not the chief'
  return f'MultiWorkerMirroredStrategy, {number} workers; this is {role}'


def device_type(strategy: tf.distribute.Strategy) -> str:
  """Returns the type of device of each replica: `CPU`, `GPU` or `TPU`."""
  device = strategy.extended.worker_devices[0]
  return tf.DeviceSpec.from_string(device).device_type or 'CPU'
