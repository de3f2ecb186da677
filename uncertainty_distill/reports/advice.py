"""Advice on how to train a system differently, drawn from its results."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence

from uncertainty_distill import plots, training
from uncertainty_distill.evaluation import aggregation
from uncertainty_distill.evaluation import results as results_lib
from uncertainty_distill.runtime import markup

# The mean cross-entropy of a system's members, and the cross-entropies of
# single networks, as `training.describe_underfitting` takes them.
CrossEntropies = tuple[float | None, Sequence[float | None]]

# Members hardly ever change an answer if they disagree on less than the first
# share of the images, and on less than the second times the share of errors.
_FEW_DISAGREEMENTS, _FEW_OF_ERRORS = 0.01, 0.2
# A model is well calibrated if its ECE is at most the first. A model with a
# larger ECE is underconfident if at least the second share of the ECE is
# underconfidence.
_SMALL_ECE, _LARGE_SHARE = 0.03, 0.8


def advice(
  results: Sequence[results_lib.Result],
  cross_entropies: Mapping[str, CrossEntropies] | None = None,
  batch_ensembles: Collection[str] = (),
) -> list[str]:
  """Returns advice on each system whose training should be changed.

  Args:
    results: Records of any systems and seeds. Only records of clean images
      are used.
    cross_entropies: From labels of systems to the cross-entropies that
      `training.describe_underfitting` takes.
    batch_ensembles: The labels of the systems that have fast weights.

  Returns:
    Markdown texts that say what is wrong and what to change: one for each
    system that is underfitted (see `training.describe_underfitting`); one for
    each BatchEnsemble whose members are nearly one network (they disagree on
    fewer than 1% of the images, and on less than a fifth of the share of
    errors); and one for each system that is underconfident (its ECE is more
    than 0.03, and at least four fifths of the ECE is in bins whose accuracy is
    above their confidence).
  """
  found = []
  for label, records in aggregation.by_model(results).items():
    clean = [r for r in records if r.shift.corruption is None]
    if not clean:
      continue
    name = markup.escaped(plots.display_name(label))
    differences = [r.metrics.get('disagreement') for r in clean]
    if label in batch_ensembles and None not in differences:
      share = statistics.fmean(differences)  # pyright: ignore[reportArgumentType]
      errors = 1 - statistics.fmean(r.metrics['accuracy'] for r in clean)
      if share < min(_FEW_DISAGREEMENTS, _FEW_OF_ERRORS * errors):
        found.append(
          f'{name} is nearly one network: its members disagree on {share:.1%} '
          'of the images. A larger '
          '`task.fast_weight_learning_rate_multiplier` or, with '
          '`task.model.fast_weights=normal`, a larger '
          '`task.model.fast_weight_stddev` makes them differ more.'
        )
    line = training.describe_underfitting(
      name, *(cross_entropies or {}).get(label, (None, ()))
    )
    found += [line] if line else []
    error = statistics.fmean(r.metrics['ece'] for r in clean)
    under = statistics.fmean(r.metrics['underconfidence'] for r in clean)
    if error > _SMALL_ECE and under >= _LARGE_SHARE * error:
      found.append(
        f'{name} is underconfident: {under:.3f} of its ECE of {error:.3f} '
        'comes from accuracy above confidence. Train it for more epochs, or '
        'fit a temperature when you export it.'
      )
  return found
