"""The paper's Figures 1 to 3, drawn from runs and from results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from uncertainty_distill import evaluation, metrics, plots, reports, runs

# From a panel's name to the folder and the tag of its curve.
_CURVES = {
  'Training loss': ('train', 'training_loss'),
  'Cross-entropy, training': ('train', 'cross_entropy'),
  'Distillation, training': ('train', 'distillation'),
  'Accuracy, training': ('train', 'accuracy'),
  'Accuracy, test': ('clean', 'accuracy'),
  'NLL, test': ('clean', 'nll'),
}
# These are positive and span several orders of magnitude in one run.
_LOG_SCALE = [name for name in _CURVES if 'Accuracy' not in name]

_PANELS = (*metrics.PAPER, *(metrics.CORRUPTED + x for x in metrics.PAPER))


def draw_learning_curves(
  systems: Mapping[str, Sequence[runs.RunFolder]],
) -> plots.Figure | None:
  """Draws how systems learned (Figure 1): losses and accuracies over epochs.

  Args:
    systems: From labels to the runs of the seeds. The paper's systems are
      BatchEnsembles from random weights and from the reconstruction.

  Returns:
    A figure with a panel for each metric that any of the runs has written; None
    if there is no such metric. Runs have metrics of the test set only if they
    were evaluated while they trained.

  Raises:
    InputError: If the dataset of a run is no longer there.
  """
  panels: dict[str, dict[str, list[dict[float, float]]]] = {}
  for label, of_label in systems.items():
    for run in of_label:
      curves = reports.read_curves(run)
      for name, (folder, tag) in _CURVES.items():
        if curves[folder].get(tag):
          lines = panels.setdefault(name, {})
          lines.setdefault(label, []).append(curves[folder][tag])
  if not panels:
    return None
  ordered = {name: panels[name] for name in _CURVES if name in panels}
  return plots.curves(ordered, 'epochs', _LOG_SCALE)


def draw_ensemble_sizes(
  results: Sequence[evaluation.Result],
  students: Mapping[int, str],
  teacher_size: int,
  teacher: str,
) -> plots.Figure | None:
  """Draws metrics against the student's number of members (Figures 2 and 3).

  Args:
    results: The results of the students and of the teacher.
    students: From numbers of members E to the labels of the systems in the
      results. Systems without results are left out.
    teacher_size: The teacher's number of members M.
    teacher: The label of the teacher's results.

  Returns:
    A figure with six panels: accuracy, ECE and NLL on clean and on corrupted
    images. It has three panels if there are no corrupted images. None if no
    student has results.
  """
  summaries = evaluation.by_seed(results)
  panels = {}
  for name in _PANELS:
    values = {
      size: [s[name] for s in summaries.get(label, ()) if name in s]
      for size, label in students.items()
    }
    if any(values.values()):
      panels[metrics.metric_spec(name).column] = values
  if not panels:
    return None
  rows = {
    metrics.metric_spec(name).column: mean
    for name, (mean, _) in evaluation.aggregate_models(
      r for r in results if r.model == teacher
    )
    .get(teacher, {})
    .items()
    if name in _PANELS
  }
  return plots.ensemble_sizes(panels, rows, teacher_size, teacher)
