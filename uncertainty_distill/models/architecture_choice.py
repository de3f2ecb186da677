"""The registry of architectures."""

from __future__ import annotations

import dataclasses

from uncertainty_distill.models.architecture import Architecture
from uncertainty_distill.models.custom_networks import (
  CustomNetwork,
  KerasModel,
)
from uncertainty_distill.models.keras_application import KerasApplication
from uncertainty_distill.models.settings import Settings
from uncertainty_distill.models.wide_resnet import WideResNet

from official.modeling import hyperparams


@dataclasses.dataclass
class ArchitectureChoice(Settings, hyperparams.OneOfConfig):
  """The choice of one architecture.

  Overrides may leave out the names in between: `task.model.depth` is short for
  `task.model.architecture.wide_resnet.depth` if `wide_resnet` is chosen.

  Attributes:
    type: The name of the chosen architecture.
    wide_resnet: A Wide ResNet.
    keras_application: A network of `tf_keras.applications`.
    custom: A network that the user's function builds.
    keras_model: A network that was given as a Keras model.
  """

  type: str = 'wide_resnet'
  wide_resnet: WideResNet = dataclasses.field(default_factory=WideResNet)
  keras_application: KerasApplication = dataclasses.field(
    default_factory=KerasApplication
  )
  custom: CustomNetwork = dataclasses.field(default_factory=CustomNetwork)
  keras_model: KerasModel = dataclasses.field(default_factory=KerasModel)

  def get(self) -> Architecture:
    """Returns the chosen architecture."""
    return super().get()  # pyright: ignore[reportReturnType]
