"""A small BatchEnsemble as a SavedModel."""

from uncertainty_distill import exporting

import tiny_networks

CLASS_NAMES = ('cat', 'dog', 'eel', 'fox')


def make(folder, temperature=1.0, sets=None):
  """Returns an untrained model of three members and its SavedModel's folder.

  The model takes uint8 images [B, 16, 16, 3].
  """
  model = tiny_networks.build(
    image_shape=(16, 16, 3),
    num_classes=4,
    depth=10,
    width=1,
    mean=(0.5,) * 3,
    stddev=(0.25,) * 3,
    ensemble_size=3,
  )
  return model, exporting.export_saved_model(
    model,
    (16, 16, 3),
    str(folder),
    class_names=CLASS_NAMES,
    temperature=temperature,
    sets=sets,
  )
