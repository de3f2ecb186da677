"""Public functions: trained models and their predictions."""

from __future__ import annotations

import dataclasses

from uncertainty_distill import exporting, trained
from uncertainty_distill.api import arguments
from uncertainty_distill.errors import InputError

import numpy as np
import numpy.typing as npt


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Predictions:
  """The predictions for B images, with the names of a SavedModel's outputs.

  The total uncertainty is `predictive_entropy`. It is the sum of
  `expected_entropy`, which is high where each member is unsure (a blurred
  image), and of `mutual_information`, which is high where the members disagree
  (an image unlike the training images).

  Attributes:
    probabilities: float32 [B, K], the mean over the members.
    member_probabilities: float32 [B, E, K], the probabilities of each member.
    label: int32 [B], the most probable class.
    class_name: str [B], the name of this class.
    confidence: float32 [B], the probability of this class.
    predictive_entropy: float32 [B], nats; 0 is certain, log K is a guess.
    expected_entropy: float32 [B], nats; the mean of the members' entropies.
    mutual_information: float32 [B], nats; 0 to log min(E, K).
    prediction_set: bool [B, K], whether each class is in the image's prediction
      set; None unless the model was exported with such sets.
    set_size: int32 [B], the number of classes in the set, or None.

  Examples:
    >>> images = ud.load_dataset('digits').images[:3]
    >>> predictions = ud.load('runs/single').predict(images)
    >>> predictions.label.shape, predictions.member_probabilities.shape
    ((3,), (3, 1, 10))
  """

  probabilities: npt.NDArray[np.float32]
  member_probabilities: npt.NDArray[np.float32]
  label: npt.NDArray[np.int32]
  class_name: npt.NDArray[np.str_]
  confidence: npt.NDArray[np.float32]
  predictive_entropy: npt.NDArray[np.float32]
  expected_entropy: npt.NDArray[np.float32]
  mutual_information: npt.NDArray[np.float32]
  prediction_set: npt.NDArray[np.bool_] | None = None
  set_size: npt.NDArray[np.int32] | None = None

  def __len__(self) -> int:
    """Returns B."""
    return len(self.label)

  def __repr__(self) -> str:
    examples, members, classes = self.member_probabilities.shape
    return f'<Predictions: B={examples}, E={members}, K={classes}>'


class Predictor:
  """A trained ensemble that classifies images; `load` returns one.

  Attributes:
    image_shape: H, W, C of the images.
    class_names: K names, in the order of the labels.
    ensemble_size: The number of members E.
    image_fit: How pictures in files get the size of the model's images:
      `resize`, `crop` or `pad`.
    has_sets: Whether the model was exported with prediction sets.

  Examples:
    >>> model = ud.load('runs/single')
    >>> images = np.zeros([2, *model.image_shape], np.uint8)
    >>> model.predict(images)
    <Predictions: B=2, E=1, K=10>
  """

  image_shape: tuple[int, ...]
  class_names: tuple[str, ...]
  ensemble_size: int
  image_fit: str
  has_sets: bool

  def __init__(self, model: trained.TrainedModel):
    """Wraps a trained model; `load` opens one.

    Args:
      model: The model.
    """
    network = model.ensemble()
    self.image_shape = tuple(model.image_shape)
    self.class_names = tuple(model.class_names)
    self.ensemble_size = model.ensemble_size
    self.image_fit = model.image_fit
    self.has_sets = model.prediction_sets is not None
    self._outputs = trained.BatchFunction(
      lambda images: exporting.outputs_from_logits(
        network(images, training=False), sets=model.prediction_sets
      )
    )

  def predict(self, images: npt.NDArray[np.uint8]) -> Predictions:
    """Predicts the classes of images.

    Args:
      images: uint8 [B, H, W, C] of `image_shape`, for any B. The model
        normalizes the images itself.

    Returns:
      Probabilities, labels and uncertainty of each image, in the same order.

    Raises:
      InputError: If the images have another type or size.
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
    path: A SavedModel or the folder of a complete run; several become one deep
      ensemble.

  Returns:
    The model. Its probabilities include the temperature of a SavedModel that
    has one.

  Raises:
    InputError: If there is no trained model, or if several models differ in
      their images or classes.

  Examples:
    >>> ud.load('runs/single')
    <Predictor of images [16, 16, 3]: E=1, K=10>
  """
  return Predictor(trained.open_trained(arguments.as_list(path), 'path'))
