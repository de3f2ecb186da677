"""The registry of architectures."""

from __future__ import annotations

import dataclasses

from uncertainty_distill.models.architecture import Architecture
from uncertainty_distill.models.settings import Settings
from uncertainty_distill.models.wide_resnet import WideResNet

from official.modeling import hyperparams


@dataclasses.dataclass
class ArchitectureChoice(Settings, hyperparams.OneOfConfig):
  """The choice of one architecture.

  The names in between can be left out: `task.model.depth` is short for
  `task.model.architecture.wide_resnet.depth` where that is the architecture.

  Attributes:
    type: The name of the architecture.
    wide_resnet: A Wide ResNet.
  """

  type: str = 'wide_resnet'
  wide_resnet: WideResNet = dataclasses.field(default_factory=WideResNet)

  def get(self) -> Architecture:
    """Returns the architecture of this type."""
    return super().get()  # pyright: ignore[reportReturnType]
