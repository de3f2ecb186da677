"""The registry of architectures."""

from __future__ import annotations

import dataclasses

from uncertainty_distill.models.wide_resnet import WideResNet

from official.modeling import hyperparams


@dataclasses.dataclass
class ArchitectureChoice(hyperparams.OneOfConfig):
  """The choice of one architecture.

  Attributes:
    type: The name of the attribute that holds it.
    wide_resnet: A Wide ResNet.
  """

  type: str = 'wide_resnet'
  wide_resnet: WideResNet = dataclasses.field(default_factory=WideResNet)
