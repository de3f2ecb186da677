"""A hyper-deep ensemble: trains many runs, and chooses the best few together.

This is the search of Appendix B.1 of Mariet et al. (2020), after Wenzel et al.
(2020). Its folder has the run folders `run_000`, `run_001` and so on. Beside
each of them is an `.npz` file of the run's predictions for the held-out
examples (see `held_out_predictions`). The folder also has `search.json`:

  format       1; another layout would have another number
  settings     what was asked for: `search` (as `teacher.search`), the
               teacher's `ensemble_size`, and the `seed` of the draws
  examples     the numbers of `training` and `held_out` examples
  runs         for each run its `folder`, its `l2` or the lambdas of `block_l2`,
               its `label_smoothing`, and its `nll` in nats and `accuracy` on
               the held-out examples (null if its training diverged)
  picks        for each pick its `folder`, and the `nll` of the mean of the
               probabilities of all picks so far, or after 10 picks for each
               member, of the distinct picks so far (see `ensemble_selection`)
  members      for each distinct pick, in the order of first picks, its `folder`
               and, as `picks`, how often it was picked
  nll          the NLL of the mean of the members' probabilities, equally
               weighted as in every teacher
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

from uncertainty_distill import configs, metrics, runs, trained
from uncertainty_distill.distribution import workers
from uncertainty_distill.errors import DivergedError
from uncertainty_distill.io import files
from uncertainty_distill.training import (
  ensemble_selection,
  held_out_predictions,
  session,
)
from uncertainty_distill.training.opened_experiment import Experiment

import numpy as np
import tensorflow as tf

_logger = logging.getLogger(__name__)

_FILE = 'search.json'
_FORMAT = 1


def run_paths(directory: str, num_runs: int) -> list[str]:
  """Returns the run folders of a search."""
  return [os.path.join(directory, f'run_{i:03}') for i in range(num_runs)]


def chosen_paths(config: configs.ExperimentConfig, directory: str) -> list[str]:
  """Returns the run folders that a search chose, if the search is complete.

  Args:
    config: The student's experiment, as for `search`.
    directory: The folder of the search.

  Returns:
    The members; none if the record of this very search is missing or damaged.
  """
  try:
    content = json.loads(files.read_text(os.path.join(directory, _FILE)))
    if content['settings'] != _plain(_settings(config)):
      return []
    # Looked up by name, so that no other folder can pass for a run.
    paths = {
      os.path.basename(path): path
      for path in run_paths(directory, config.teacher.search.num_runs)
    }
    return [paths[member['folder']] for member in content['members']]
  except (OSError, ValueError, KeyError, TypeError, AttributeError):
    return []


def search(experiment: Experiment, directory: str, evaluate: bool) -> list[str]:
  """Trains the runs that are still missing, and chooses the members.

  Args:
    experiment: The student's experiment.
    directory: The folder of the search. Complete runs are left alone. The runs
      of a smaller search are the first runs of a larger one.
    evaluate: Whether to evaluate runs on the clean test set while training.

  Returns:
    The run folders of the distinct members, in the order of their first picks.

  Raises:
    InputError: If the configuration is wrong, or a folder belongs to another
      experiment.
    DivergedError: If too many runs diverged.
  """
  searched = experiment.teacher_runs
  paths = run_paths(directory, len(searched))
  for path, run in zip(paths, searched, strict=True):
    # All folders are checked before the first run: a mistake costs no time.
    runs.match_run(path, run.config)
  log_probs = []
  for index, (path, run) in enumerate(zip(paths, searched)):
    label = f'search run {index + 1} of {len(paths)}'
    log_probs.append(train_run(run, path, evaluate, label))
  labels = searched[0].held_out.labels
  selected = ensemble_selection.select(
    np.stack(log_probs), labels, experiment.config.teacher.ensemble_size
  )
  if experiment.is_chief:
    content = {
      'format': _FORMAT,
      'settings': _settings(experiment.config),
      'examples': {
        'training': len(searched[0].training_set),
        'held_out': len(labels),
      },
      **_record(
        [(os.path.basename(p), r.config.task) for p, r in zip(paths, searched)],
        log_probs,
        labels,
        selected,
      ),
    }
    text = json.dumps(content, indent=1, allow_nan=False)
    files.write_text(os.path.join(directory, _FILE), f'{text}\n')
    _log_choice(content)
  workers.wait(experiment.strategy)
  return [paths[index] for index in selected.counts]


def _settings(config: configs.ExperimentConfig) -> dict[str, Any]:
  """Returns the settings of a search, as its record keeps them."""
  return {
    'search': config.teacher.search.as_dict(),
    'ensemble_size': config.teacher.ensemble_size,
    'seed': config.task.seed,
  }


def _plain(values: Mapping[str, Any]) -> Any:
  """Returns the values as they are after writing and reading JSON."""
  return json.loads(json.dumps(values))


def is_run_finished(experiment: Experiment, path: str) -> bool:
  """Returns whether nothing is left to do for a run of a search.

  The run and its predictions are complete, or it is known to diverge.

  Args:
    experiment: The experiment of the run.
    path: The run folder.

  Raises:
    InputError: If the folder belongs to another experiment, or if its data have
      changed.
  """
  file, held_out = f'{path}.npz', experiment.held_out
  trainer = experiment.config.trainer
  if held_out_predictions.has_diverged(file, held_out, trainer):
    return True
  return session.finished_run(
    experiment, path
  ) is not None and held_out_predictions.are_current(
    file, held_out, trained.open_trained([path], 'run folder')
  )


def train_run(
  experiment: Experiment, path: str, evaluate: bool, label: str
) -> np.ndarray:
  """Trains one run; returns its log_probs [N, K] of the held-out examples.

  The log_probs of a run that diverges are NaN. Such a run is not trained again
  when the search is continued.
  """
  file, held_out = f'{path}.npz', experiment.held_out
  strategy, config = experiment.strategy, experiment.config
  trainer = config.trainer
  if not held_out_predictions.has_diverged(file, held_out, trainer):
    try:
      session.train(experiment, path, evaluate, label)
      if experiment.is_chief:
        several = workers.count(strategy) > 1
        held_out_predictions.write_log_probs(
          file,
          trained.open_trained([path], 'run folder'),
          held_out,
          config.task.validation_data.global_batch_size,
          # The other workers wait, and cannot take part in the steps.
          tf.distribute.get_strategy() if several else strategy,
        )
    except DivergedError as error:
      if experiment.is_chief:
        _logger.warning(f'{error}; the search continues without it')
        held_out_predictions.write_divergence(file, held_out, trainer)
  workers.wait(strategy)
  return held_out_predictions.read_log_probs(file)


def _record(
  tasks: Sequence[tuple[str, configs.TaskConfig]],
  log_probs: Sequence[np.ndarray],
  labels: np.ndarray,
  selected: ensemble_selection.Selection,
) -> dict[str, Any]:
  """Returns the part of `search.json` about the runs and the choice."""
  names = [name for name, _ in tasks]
  described = []
  for (name, task), values in zip(tasks, log_probs, strict=True):
    diverged = not np.isfinite(values).all()
    described.append(
      {
        'folder': name,
        'l2': None if task.block_l2 else task.l2,
        'block_l2': list(task.block_l2),
        'label_smoothing': task.objective.label_smoothing,
        'nll': None if diverged else metrics.ensemble_nll(values[None], labels),
        'accuracy': (
          None if diverged else float(np.mean(values.argmax(-1) == labels))
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


def _log_choice(content: Mapping[str, Any]) -> None:
  """Logs which runs were chosen."""
  chosen = ', '.join(member['folder'] for member in content['members'])
  alone = content['runs'][0]['nll']
  _logger.info(
    f'search: {chosen} of {len(content["runs"])} runs; held-out NLL '
    f'{content["nll"]:.4f}, of the default run '
    + ('none' if alone is None else f'{alone:.4f}')
  )
