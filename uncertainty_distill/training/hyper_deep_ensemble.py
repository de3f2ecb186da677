"""A hyper-deep ensemble: many runs, and the few that are best together.

The search of Appendix B.1 of Mariet et al. (2020), after Wenzel et al. (2020).
Its folder holds the run folders `run_000`, `run_001` and so on, beside each an
`.npz` file of what it says of the held-out examples (see `scoring`), and
`search.json`:

  format       1; another number would be another layout
  settings     what was asked for: `search` (as `teacher.search`), the
               teacher's `ensemble_size`, and the `seed` of the draws
  examples     `training` and `held_out`, their numbers
  runs         of each in order its `folder`, `l2` or six lambdas `block_l2`,
               `label_smoothing`, and on the held-out examples its `nll` in nats
               and `accuracy` (null where its training diverged)
  picks        of each in order the `folder`, and the `nll` of the mean of the
               probabilities of all picks up to it; behind 10 picks a member,
               of the distinct ones (see `selection`)
  members      of each distinct pick in order its `folder` and `picks`, how
               often it was picked
  nll          of the mean of the members' probabilities, which weighs them
               equally as every teacher's members are
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

from uncertainty_distill import configs, data, metrics, runs
from uncertainty_distill.distribution import workers
from uncertainty_distill.errors import DivergedError
from uncertainty_distill.io import files
from uncertainty_distill.training import (
  ensemble_selection,
  held_out_predictions,
  session,
)

import numpy as np
import tensorflow as tf

_logger = logging.getLogger(__name__)

_FILE = 'search.json'
_FORMAT = 1


def run_paths(directory: str, num_runs: int) -> list[str]:
  """Returns the run folders of a search."""
  return [os.path.join(directory, f'run_{i:03}') for i in range(num_runs)]


def chosen(config: configs.ExperimentConfig, directory: str) -> list[str]:
  """Returns the members' run folders that a search has chosen.

  Args:
    config: As `search` took it.
    directory: Likewise.

  Returns:
    None of them if there is no account of this very search, or a damaged one.
  """
  try:
    content = json.loads(files.read_text(os.path.join(directory, _FILE)))
    if content['settings'] != _plain(_settings(config)):
      return []
    # By its name, so that no other folder can be one of its runs.
    paths = {
      os.path.basename(path): path
      for path in run_paths(directory, config.teacher.search.num_runs)
    }
    return [paths[member['folder']] for member in content['members']]
  except (OSError, ValueError, KeyError, TypeError, AttributeError):
    return []


def search(
  config: configs.ExperimentConfig,
  directory: str,
  strategy: tf.distribute.Strategy,
  evaluate: bool,
) -> list[str]:
  """Trains what is still missing of the runs, and chooses the members.

  Args:
    config: The student's experiment, not resolved.
    directory: Of the search. Runs that are complete are left alone, and those
      of a search with fewer runs are the first ones of one with more.
    strategy: The devices.
    evaluate: Whether to evaluate runs on the clean test set now and then.

  Returns:
    The run folders of distinct members, in the order of their first picks.

  Raises:
    InputError: If the configuration is wrong, a folder belongs to another
      experiment, or too many runs diverged.
  """
  default = session.resolve(configs.default_run(config))
  train_data = default.task.train_data
  training, held_out = data.open_training(
    data.open_configured(train_data), train_data
  )
  experiments = {
    path: configs.search_run(default, index, len(training))
    for index, path in enumerate(
      run_paths(directory, config.teacher.search.num_runs)
    )
  }
  for path, experiment in experiments.items():
    # All of them before the first is trained: a mistake costs no time.
    runs.match_run(path, experiment)
  log_probs = []
  for index, (path, experiment) in enumerate(experiments.items()):
    label = f'search run {index + 1} of {len(experiments)}'
    log_probs.append(
      _train(experiment, path, held_out, strategy, evaluate, label)
    )
  selected = ensemble_selection.select(
    np.stack(log_probs), held_out.labels, config.teacher.ensemble_size
  )
  if workers.is_chief(strategy):
    content = {
      'format': _FORMAT,
      'settings': _settings(config),
      'examples': {
        'training': len(training),
        'held_out': len(held_out),
      },
      **_account(experiments, log_probs, held_out.labels, selected),
    }
    text = json.dumps(content, indent=1, allow_nan=False)
    files.write_text(os.path.join(directory, _FILE), f'{text}\n')
    _say(content)
  workers.wait(strategy)
  return [list(experiments)[index] for index in selected.counts]


def _settings(config: configs.ExperimentConfig) -> dict[str, Any]:
  """Returns what was asked for."""
  return {
    'search': config.teacher.search.as_dict(),
    'ensemble_size': config.teacher.ensemble_size,
    'seed': config.task.seed,
  }


def _plain(values: Mapping[str, Any]) -> Any:
  """Returns the values as JSON gives them back."""
  return json.loads(json.dumps(values))


def _train(
  experiment: configs.ExperimentConfig,
  path: str,
  held_out: data.ImageSource,
  strategy: tf.distribute.Strategy,
  evaluate: bool,
  label: str,
) -> np.ndarray:
  """Trains one run; returns its log_probs [N, K] of the held-out examples.

  Those of a run that diverges are NaN, the worst there is; it is not trained
  again when the search is taken up.
  """
  scores, rollbacks = f'{path}.npz', experiment.trainer.recovery_max_trials
  if not held_out_predictions.has_diverged(held_out, scores, rollbacks):
    try:
      run = session.train(experiment, path, strategy, evaluate, label)
      return _score(run, held_out, strategy)
    except DivergedError as error:
      if workers.is_chief(strategy):
        _logger.warning(f'{error}; the search goes on without it')
        held_out_predictions.note_divergence(held_out, scores, rollbacks)
  workers.wait(strategy)
  return held_out_predictions.read_log_probs(scores)


def _score(
  run: runs.RunFolder,
  held_out: data.ImageSource,
  strategy: tf.distribute.Strategy,
) -> np.ndarray:
  """Returns a run's log_probs [N, K] of the held-out examples."""
  path = f'{run.path}.npz'
  if workers.is_chief(strategy):
    several = workers.count(strategy) > 1
    # The other workers wait, and could not take part in its steps.
    devices = tf.distribute.get_strategy() if several else strategy
    batch_size = run.config.task.validation_data.global_batch_size
    held_out_predictions.score(run, held_out, path, batch_size, devices)
  workers.wait(strategy)
  return held_out_predictions.read_log_probs(path)


def _account(
  experiments: Mapping[str, configs.ExperimentConfig],
  log_probs: Sequence[np.ndarray],
  labels: np.ndarray,
  selected: ensemble_selection.Selection,
) -> dict[str, Any]:
  """Returns what `search.json` says of the runs and of the choice."""
  names = [os.path.basename(path) for path in experiments]
  described = []
  for name, experiment, its in zip(names, experiments.values(), log_probs):
    task = experiment.task
    diverged = not np.isfinite(its).all()
    described.append(
      {
        'folder': name,
        'l2': None if task.block_l2 else task.l2,
        'block_l2': list(task.block_l2),
        'label_smoothing': task.objective.label_smoothing,
        'nll': None if diverged else metrics.ensemble_nll(its[None], labels),
        'accuracy': (
          None if diverged else float(np.mean(its.argmax(-1) == labels))
        ),
      }
    )
  chosen = np.stack([log_probs[index] for index in selected.counts])
  return {
    'runs': described,
    'picks': [
      {'folder': names[index], 'nll': nll}
      for index, nll in zip(selected.picks, selected.nlls)
    ],
    'members': [
      {'folder': names[index], 'picks': count}
      for index, count in selected.counts.items()
    ],
    'nll': metrics.ensemble_nll(chosen, labels),
  }


def _say(content: Mapping[str, Any]) -> None:
  """Says in one line what was chosen."""
  chosen = ', '.join(member['folder'] for member in content['members'])
  alone = content['runs'][0]['nll']
  _logger.info(
    f'search: {chosen} of {len(content["runs"])} runs; held-out NLL '
    f'{content["nll"]:.4f}, of the default run '
    + ('none' if alone is None else f'{alone:.4f}')
  )
