"""Public: trained models, and what they say of images."""

from __future__ import annotations

import dataclasses

from uncertainty_distill import exporting, trained
from uncertainty_distill.api import arguments
from uncertainty_distill.errors import InputError

import numpy as np
import numpy.typing as npt


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Predictions:
  """What an ensemble says of B images; the names are those of a SavedModel.

  All of the uncertainty is `predictive_entropy`. It is the sum of what each
  member by itself is unsure of (`expected_entropy`: a blurred image) and of
  what the members disagree on (`mutual_information`: an image unlike those
  trained on).

  Attributes:
    probabilities: float32 [B, K], the mean of the members'.
    member_probabilities: float32 [B, E, K], each member's own.
    label: int32 [B], the most probable class.
    class_name: str [B], its name.
    confidence: float32 [B], its probability.
    predictive_entropy: float32 [B], nats; 0 is certain, log K a guess.
    expected_entropy: float32 [B], nats; the mean of the members' entropies.
    mutual_information: float32 [B], nats; 0 to log min(E, K).
  """

  probabilities: npt.NDArray[np.float32]
  member_probabilities: npt.NDArray[np.float32]
  label: npt.NDArray[np.int32]
  class_name: npt.NDArray[np.str_]
  confidence: npt.NDArray[np.float32]
  predictive_entropy: npt.NDArray[np.float32]
  expected_entropy: npt.NDArray[np.float32]
  mutual_information: npt.NDArray[np.float32]

  def __len__(self) -> int:
    """Returns B."""
    return len(self.label)

  def __repr__(self) -> str:
    examples, members, classes = self.member_probabilities.shape
    return f'<Predictions: B={examples}, E={members}, K={classes}>'


class Predictor:
  """A trained ensemble that predicts images; `load` returns one.

  Attributes:
    image_shape: H, W, C of the images that it takes.
    class_names: K names, in the order of the labels.
    ensemble_size: Its members E.
  """

  image_shape: tuple[int, ...]
  class_names: tuple[str, ...]
  ensemble_size: int

  def __init__(self, model: trained.TrainedModel):
    """Wraps a trained model; `load` opens one.

    Args:
      model: The model.
    """
    network = model.ensemble()
    self.image_shape = tuple(model.image_shape)
    self.class_names = tuple(model.class_names)
    self.ensemble_size = model.ensemble_size
    self._outputs = trained.BatchFunction(
      lambda images: exporting.outputs_from_logits(
        network(images, training=False)
      )
    )

  def predict(self, images: npt.NDArray[np.uint8]) -> Predictions:
    """Predicts images, a batch at a time.

    Args:
      images: uint8 [B, H, W, C] of `image_shape`, any B, as they are: the model
        normalises them itself.

    Returns:
      Probabilities, labels and uncertainty of each, in the same order.

    Raises:
      InputError: If they are of another type or size.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.shape[1:] != self.image_shape:
      raise InputError(
        'images',
        f'{images.dtype} {list(images.shape)}',
        f'uint8 [B, {", ".join(map(str, self.image_shape))}]',
        'write images[None] for one image'
        if images.shape == self.image_shape
        else '',
      )
    arrays = self._outputs(images)
    names = np.array(self.class_names)[arrays['label']]
    return Predictions(class_name=names, **arrays)

  def __repr__(self) -> str:
    return (
      f'<Predictor of images {list(self.image_shape)}: '
      f'E={self.ensemble_size}, K={len(self.class_names)}>'
    )


def load(path: arguments.Paths) -> Predictor:
  """Loads a trained model.

  A SavedModel is a program: load only those that you trust.

  Args:
    path: Of a SavedModel or of a run folder, trained to its end; several are
      taken together as one deep ensemble.

  Returns:
    What predicts images; a SavedModel's temperature, if it has one, is in its
    probabilities.

  Raises:
    InputError: If there is no trained model, or if several differ in their
      images or classes.
  """
  return Predictor(trained.open_trained(arguments.as_list(path), 'path'))
