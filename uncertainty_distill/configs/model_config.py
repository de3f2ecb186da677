"""The network of an experiment."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from uncertainty_distill import layers, models, ranges

import tensorflow as tf
import tf_keras


@dataclasses.dataclass
class NetworkConfig(models.Settings):
  """A configuration that offers its architecture's fields as its own.

  `task.model.depth` is short for `task.model.architecture.wide_resnet.depth` if
  `wide_resnet` is the architecture, in Python as in files and overrides.

  Attributes:
    architecture: The architecture of the network.
  """

  architecture: models.ArchitectureChoice = dataclasses.field(
    default_factory=models.ArchitectureChoice
  )

  def __getattr__(self, name: str) -> Any:
    if name in self.short_names():
      return getattr(self.architecture.get(), name)
    return super().__getattr__(name)

  def __setattr__(self, name: str, value: Any) -> None:
    if name in self.short_names():
      setattr(self.architecture.get(), name, value)
    else:
      super().__setattr__(name, value)

  def as_dict(self) -> dict[str, Any]:
    """Returns the fields, including the fields of the architecture.

    The form is that of version 0.1.0, so that runs and caches of that version
    are still recognized. `override` reads this form.
    """
    values = super().as_dict()
    choice = values.pop('architecture')
    if choice['type'] != models.ArchitectureChoice.type:
      values['architecture'] = {'type': choice['type']}
    return {**values, **choice[choice['type']]}

  def spelled_out(self, values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns overrides with the architecture's fields moved to their place.

    Args:
      values: Overrides of this configuration's fields, and of the fields of the
        architecture that is chosen in them or was chosen before.
    """
    choice = values.get('architecture', {})
    if not isinstance(choice, dict):
      return dict(values)
    kind = choice.get('type', self.architecture.type)
    if not isinstance(kind, str) or not isinstance(choice.get(kind, {}), dict):
      return dict(values)  # Later checks say what is wrong.
    names = self.short_names(kind)
    short = {name: values[name] for name in values if name in names}
    rest = {name: values[name] for name in values if name not in names}
    if short:
      rest['architecture'] = {**choice, kind: {**short, **choice.get(kind, {})}}
    return rest

  def short_names(self, kind: str | None = None) -> list[str]:
    """Returns the fields of an architecture, by default the chosen one."""
    # Still missing while Model Garden sets the fields or makes a copy.
    choice = self.__dict__.get('architecture')
    kind = kind or getattr(choice, 'type', '')
    chosen = getattr(choice, kind, None) if isinstance(kind, str) else None
    if not isinstance(chosen, models.Architecture):
      return []
    return [field.name for field in dataclasses.fields(chosen)]

  def _override(self, override_dict, is_strict=True):
    super()._override(self.spelled_out(override_dict), is_strict)


@dataclasses.dataclass
class ModelConfig(NetworkConfig):
  """A network, or a BatchEnsemble of several members.

  Attributes:
    architecture: The architecture of the network.
    image_shape: H, W, C; derived from the dataset.
    num_classes: K; derived from the dataset.
    mean: The mean of each channel, in 0..1; derived from the dataset.
    stddev: The standard deviation of each channel; derived from the dataset.
    ensemble_size: The number of members E of a BatchEnsemble; 1 for a single
      network.
    ensemble_type: How the members share weights: as a `batch_ensemble`, or as a
      `hydra` (Tran et al. 2020), whose members are heads of one body.
    rank: The rank of the members' perturbations of the weights.
    perturb: What alpha and gamma multiply: `weights` (one kernel for each
      member), `activations` (as published; faster on a TPU), or `auto` for
      whichever is cheaper on the device. All three compute the same function.
    fast_weights: The initial values of alpha and gamma: `normal` (drawn from
      N(1, fast_weight_stddev^2)), `signs` (-1 or 1 at random), `ones` (members
      begin as the same network, and with rank 1 stay the same unless something
      else makes them differ), or `first_layer_signs` (signs in the first layer,
      ones elsewhere).
    fast_weight_stddev: The standard deviation for `normal`.
    norm: Whether the members share BatchNorm, LayerNorm and GroupNorm
      (`shared`), or each member has its own, with the statistics of its own
      rows (`member`).
    batch_norm_momentum: The momentum of BatchNorm's moving statistics.
    batch_norm_epsilon: The number that BatchNorm adds to the variance.
    sync_batch_norm: Whether training normalizes by the statistics of the global
      batch instead of the statistics of each replica.
  """

  image_shape: tuple[int, ...] = ()
  num_classes: int = 0
  mean: tuple[float, ...] = ()
  stddev: tuple[float, ...] = ranges.field(
    (), ranges.Range(lambda x: all(s > 0 for s in x), 'all more than 0')
  )
  ensemble_size: int = ranges.field(4, ranges.AT_LEAST_1, of_member=1)
  ensemble_type: str = ranges.field(
    'batch_ensemble',
    ranges.one_of('batch_ensemble', 'hydra'),
    of_member='batch_ensemble',
  )
  rank: int = ranges.field(1, ranges.AT_LEAST_1)
  perturb: str = ranges.field('auto', ranges.one_of(*layers.PERTURB_MODES))
  fast_weights: str = ranges.field(
    'normal', ranges.one_of(*layers.FAST_WEIGHTS)
  )
  fast_weight_stddev: float = ranges.field(0.5, ranges.NOT_NEGATIVE)
  norm: str = ranges.field('shared', ranges.one_of(*models.NORMS))
  batch_norm_momentum: float = ranges.field(0.9, ranges.FRACTION)
  batch_norm_epsilon: float = ranges.field(1e-5, ranges.POSITIVE)
  sync_batch_norm: bool = False

  def __str__(self) -> str:
    """Names the network, its image shape and its number of classes."""
    return (
      f'{self.architecture.get().label} of images {list(self.image_shape)} '
      f'and {self.num_classes} classes'
    )

  @property
  def identity(self) -> tuple[str, tuple[int, ...], int]:
    """What networks have in common that are built alike."""
    network = self.architecture.get()
    return network.identity, tuple(self.image_shape), self.num_classes

  def as_dict(self) -> dict[str, Any]:
    """Returns the fields as version 0.2.0 has them, if it knows the values.

    Fields that version 0.2.0 lacks are left out if they have the usual values.
    """
    values = super().as_dict()
    for name, usual in (
      ('fast_weights', 'normal'),
      ('norm', 'shared'),
      ('ensemble_type', 'batch_ensemble'),
    ):
      if values[name] == usual:
        del values[name]
    return values

  def build(self) -> tf_keras.Model:
    """Builds the network with random weights.

    Returns:
      A model that takes images [B, H, W, C] of 0..255, uint8 or float, and
      returns float32 logits [E, B, K].
    """
    if self.ensemble_size == 1:
      return models.batch_ensemble(self.build_plain(), 1)
    if self.ensemble_type == 'hydra':
      heads = self.build_plain(self.ensemble_size * self.num_classes)
      return models.hydra(heads, self.ensemble_size)
    with models.without_initial_values():
      plain = self.build_plain()
    return models.batch_ensemble(
      plain,
      self.ensemble_size,
      self.rank,
      perturb=self.perturb,
      fast_weights=self.fast_weights,
      fast_weight_stddev=self.fast_weight_stddev,
      norm=self.norm,
      keep_weights=False,
    )

  def load_initial_weights(self, model: tf_keras.Model) -> None:
    """Gives a model the trained weights that its architecture names, if any.

    Args:
      model: The model that `build` returned. Alpha, gamma and the last layer
        stay as they are.

    Raises:
      InputError: If the weights are missing, or belong to another network.
    """
    architecture = self.architecture.get()
    if architecture.has_initial_weights:
      with models.without_initial_values():
        plain = self.build_plain()
      architecture.load_initial_weights(plain)
      models.set_plain_weights(model, plain, last=False)

  def check_rank(self, name: str) -> None:
    """Raises an InputError about `name` for a rank that no matrix can have."""
    with models.without_initial_values():
      models.check_rank(self.build_plain(), self.rank, name)

  def l2_groups(self, model: tf_keras.Model) -> list[list[tf.Variable]]:
    """Returns the variables of a built model that L2 applies to, by group."""
    return self.architecture.get().l2_groups(model)

  def build_plain(self, num_outputs: int = 0) -> tf_keras.Model:
    """Builds the network of one member: images to float32 logits [B, K].

    Args:
      num_outputs: The number of logits; 0 for K.
    """
    return self.architecture.get().build(
      self.image_shape,
      num_outputs or self.num_classes,
      mean=self.mean,
      stddev=self.stddev,
      batch_norm=functools.partial(
        tf_keras.layers.BatchNormalization,
        momentum=self.batch_norm_momentum,
        epsilon=self.batch_norm_epsilon,
        synchronized=self.sync_batch_norm,
      ),
    )
