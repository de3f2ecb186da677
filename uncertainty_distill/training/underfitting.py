"""Finds members that have learned too little to be an ensemble."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from uncertainty_distill import runs

# The largest ratio of the members' training cross-entropy to that of single
# networks.
_MAX_RATIO = 1.5


def describe_underfitting(
  name: str, cross_entropy: float | None, others: Sequence[float | None]
) -> str:
  """Returns advice if members have learned too little, else ''.

  Args:
    name: The name of the ensemble.
    cross_entropy: The members' mean cross-entropy at the end of training, in
      nats; None if unknown.
    others: The cross-entropies of the teacher's networks, or of single
      networks; None if unknown.

  Returns:
    What is wrong and what to change, as Markdown, if the cross-entropy is above
    1.5 times the mean of the others and all of these are known.
  """
  known = [other for other in others if other is not None]
  if cross_entropy is None or not known or len(known) < len(others):
    return ''
  mean = statistics.fmean(known)
  if cross_entropy <= _MAX_RATIO * mean:
    return ''
  return (
    f'{name} is underfitted: at the end of training, the cross-entropy of its '
    f'members was {cross_entropy:.3f} nats, but that of single networks was '
    f'{mean:.3f}. Train it for more epochs (`trainer.epochs`), or train a '
    'BatchEnsemble with a larger `task.fast_weight_learning_rate_multiplier` '
    'or a smaller `task.model.fast_weight_stddev`. A large '
    '`task.objective.weight_tie` or `task.fast_weight_decay` also keeps '
    'members from learning.'
  )


def teacher_cross_entropies(run: runs.RunFolder) -> list[float | None]:
  """Returns the cross-entropies of the runs that taught a run.

  The list is empty if the run has no teacher, or a teacher that is not of runs.
  """
  objective = run.config.task.objective
  paths = objective.teacher if objective.uses_teacher else ()
  if not all(map(runs.is_run, paths)):
    return []
  return [
    runs.open_run(path, 'teacher').training_cross_entropy for path in paths
  ]


def of_run(run: runs.RunFolder) -> str:
  """Returns the advice for a run compared with its teacher, or ''."""
  if run.config.task.model.ensemble_size == 1:
    return ''
  return describe_underfitting(
    run.path, run.training_cross_entropy, teacher_cross_entropies(run)
  )
