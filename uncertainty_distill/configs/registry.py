"""The registered experiments."""

from __future__ import annotations

import functools

from uncertainty_distill.configs.experiment import ExperimentConfig

from official.core import exp_factory

_NAMES = []


def experiment_names() -> list[str]:
  """Returns the names of all registered experiments, sorted."""
  return sorted(_NAMES)


def _register(name):
  """Registers a factory with Model Garden and here."""

  def decorator(factory):
    _NAMES.append(name)

    @exp_factory.register_config_factory(name)
    @functools.wraps(factory)
    def named_factory():
      config = factory()
      config.experiment = name
      return config

    return named_factory

  return decorator


def _wide_resnet(dataset: str, depth: int, width: int) -> ExperimentConfig:
  """The published hyper-parameters, with another network."""
  config = ExperimentConfig()
  config.task.train_data.name = dataset
  config.task.objective.kind = 'knowledge'
  for network in config.task.model, config.teacher:
    network.depth = depth
    network.width = width
  return config


def _on_two_cores(dataset: str, depth: int, width: int) -> ExperimentConfig:
  """A small network that a CPU trains in an hour or a few."""
  config = _wide_resnet(dataset, depth, width)
  config.teacher.global_batch_size = 128
  config.teacher.epochs = 20.0
  config.trainer.epochs = 20.0
  config.task.validation_data.global_batch_size = 250
  return config


@_register('cifar10_wrn28_10')
def cifar10_wrn28_10() -> ExperimentConfig:
  """The paper's experiment on CIFAR-10."""
  return _wide_resnet('cifar10', 28, 10)


@_register('cifar100_wrn28_10')
def cifar100_wrn28_10() -> ExperimentConfig:
  """The paper's experiment on CIFAR-100."""
  config = _wide_resnet('cifar100', 28, 10)
  config.teacher.search.label_smoothing_range = (1e-5, 2e-5)
  return config


@_register('cifar10_wrn10_1')
def cifar10_wrn10_1() -> ExperimentConfig:
  """The smallest network on CIFAR-10, for two cores."""
  return _on_two_cores('cifar10', 10, 1)


@_register('cifar10_wrn16_4')
def cifar10_wrn16_4() -> ExperimentConfig:
  """A middling network on CIFAR-10, for a patient CPU or one GPU."""
  return _on_two_cores('cifar10', 16, 4)


@_register('digits_wrn10_1')
def digits_wrn10_1() -> ExperimentConfig:
  """Handwritten digits of 16x16 pixels: needs no download and few minutes."""
  config = _on_two_cores('digits', 10, 1)
  config.task.train_data.global_batch_size = 64
  config.task.train_data.crop_padding = 1
  # A mirrored digit is not the same digit.
  config.task.train_data.horizontal_flip = False
  config.teacher.global_batch_size = 64
  config.teacher.epochs = 60.0
  config.trainer.epochs = 60.0
  return config
