"""When a run is evaluated: at the same steps, however often it was stopped.

Orbit counts the steps to the next evaluation from where it starts, and saves a
checkpoint before it evaluates. So that a run that is killed between the two
still gets its evaluation, the step of the next one is noted in the run folder
before training gets there.
"""

from __future__ import annotations

from uncertainty_distill import configs, runs
from uncertainty_distill.io import files

import orbit


def train(
  controller: orbit.Controller,
  config: configs.ExperimentConfig,
  run: runs.RunFolder,
  evaluation_due: int,
  evaluate: bool,
  writes: bool,
) -> None:
  """Trains to the end, with evaluations on the way.

  Args:
    controller: At the step that training goes on from.
    config: Resolved.
    run: Where the next evaluation is noted.
    evaluation_due: The step that `run` has noted; the same for all workers.
    evaluate: Whether to evaluate.
    writes: Whether this process writes to the folder.
  """
  last = config.trainer.train_steps
  if evaluate:
    interval = config.trainer.validation_interval
    step = int(controller.global_step.numpy())
    if step and step == evaluation_due:
      controller.evaluate(config.trainer.validation_steps)
    while step < last:
      step = min((step // interval + 1) * interval, last)
      if writes:
        files.write_text(run.evaluation_due_file, str(step))
      controller.train(step, checkpoint_at_completion=False)
      controller.evaluate(config.trainer.validation_steps)
    controller.save_checkpoint()
  else:
    controller.train(last)
  if writes:
    files.remove(run.evaluation_due_file)
