"""Small networks, made by the model of a configuration."""

from uncertainty_distill import configs


def config(ensemble_size=1, **values):
  """Returns the configuration of a network, by default of WRN-10-1.

  Args:
    ensemble_size: The number of members E.
    **values: More overrides of `ModelConfig`, or of its architecture.
  """
  model = configs.ModelConfig()
  values = {
    'image_shape': (16, 16, 3),
    'num_classes': 5,
    'mean': (0.5,),
    'stddev': (0.25,),
    'depth': 10,
    'width': 1,
    'ensemble_size': ensemble_size,
    **values,
  }
  plain = {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
  configs.override(model, plain, 'a test')
  return model


def build(ensemble_size=1, **values):
  """Returns the network of `config`, with random weights."""
  return config(ensemble_size, **values).build()
