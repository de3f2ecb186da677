"""How results were made: seeds, machine, versions."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence

import uncertainty_distill
from uncertainty_distill import (
  configs,
  data,
  distribution,
  evaluation,
  plots,
  training,
)

import tensorflow as tf


def provenance(
  systems: Sequence[evaluation.System],
  experiment: training.Experiment,
  results: Sequence[evaluation.Result],
  devices: str = '',
) -> Mapping[str, str | list[str]]:
  """Returns how systems and their results were made, for a report.

  Args:
    systems: The systems.
    experiment: The experiment that they were evaluated by.
    results: Their results.
    devices: What evaluated them; by default the experiment's devices.
  """
  config = experiment.config
  corrupted = len(data.parse_shifts(config.evaluation)) - 1
  images = '; '.join(sorted({r.images for r in results if r.images}))
  devices = devices or distribution.describe(
    experiment.strategy, config, training=False
  )
  return {
    'Command': [_command()],
    'Experiment': config.experiment,
    'Seeds': _seeds(systems),
    **_images_without_labels(systems),
    'Corrupted test sets': f'{corrupted}, {images}' if corrupted else 'none',
    'Out of distribution': _out_of_distribution(config),
    'Machine': f'{devices}; {os.cpu_count()} cores; {platform.platform()}',
    'Versions': f'Python {platform.python_version()}, '
    f'TensorFlow {tf.__version__}, {_code()}',
  }


def _command() -> str:
  """Returns the command line that started this process."""
  program = sys.argv[0]
  # The console command puts two words here, `uncertainty-distill COMMAND`.
  if os.path.exists(program):
    program = shlex.quote(os.path.relpath(program))
  return ' '.join([program, *map(shlex.quote, sys.argv[1:])])


def _seeds(systems: Sequence[evaluation.System]) -> str:
  """Returns the seeds that the runs of the systems were trained with."""
  seeds: dict[str, list[str]] = {}
  for system in systems:
    seeds.setdefault(plots.display_name(system.label), []).extend(
      str(part.run.config.task.seed) for part in system.runs
    )
  names: dict[str, list[str]] = {}
  for name, of_name in seeds.items():
    names.setdefault(', '.join(of_name) or 'not known', []).append(name)
  return '; '.join(f'{of} ({", ".join(x)})' for of, x in names.items())


def _images_without_labels(
  systems: Sequence[evaluation.System],
) -> dict[str, str]:
  """Returns which images without labels some systems learned from, if any."""
  names: dict[str, list[str]] = {}
  for system in systems:
    for part in system.runs:
      train_data = part.run.config.task.train_data
      if train_data.unlabeled:
        count = train_data.unlabeled_examples
        which = f'the first {count} of ' if count else ''
        about = (
          f'{which}{train_data.unlabeled}, {train_data.num_unlabeled} of the '
          f'{train_data.global_batch_size} images of each step'
        )
        labels = names.setdefault(about, [])
        if (label := plots.display_name(system.label)) not in labels:
          labels.append(label)
  described = '; '.join(f'{x} ({", ".join(y)})' for x, y in names.items())
  return {'Images without labels': described} if described else {}


def _code() -> str:
  """Returns the version of this package and, in a checkout, the commit."""
  version = uncertainty_distill.__version__
  try:
    # An installed package may lie in a checkout of something else.
    _git('ls-files', '--error-unmatch', 'errors.py')
    commit = _git('rev-parse', '--short=12', 'HEAD')
    changed = _git('status', '--porcelain', '--untracked-files=no')
  except (OSError, subprocess.SubprocessError):
    return f'uncertainty_distill {version}'
  return (
    f'uncertainty_distill {version}, commit {commit}'
    f'{" with changes" if changed else ""}'
  )


def _git(*words: str) -> str:
  """Returns the output of git in the folder of this package."""
  folder = os.path.dirname(uncertainty_distill.__file__)
  done = subprocess.run(
    ['git', '-C', folder, *words],
    capture_output=True,
    text=True,
    check=True,
    timeout=10,
  )
  return done.stdout.strip()


def _out_of_distribution(config: configs.ExperimentConfig) -> str:
  """Returns which out-of-distribution images the evaluation used."""
  train_data = config.task.train_data
  if config.evaluation.out_of_distribution:
    return f'test images of {config.evaluation.out_of_distribution}'
  if train_data.classes:
    return (
      f'test images of the classes of {train_data.name} other than '
      + ', '.join(map(str, train_data.classes))
    )
  return 'none'
