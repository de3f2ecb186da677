"""The jobs that are killed, and the marks of their progress."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re

_STUDY = """\
title: Chaos
experiment: digits_wrn10_1
params_override:
  trainer:
    {train_steps: 12, steps_per_loop: 3, checkpoint_interval: 6,
     validation_interval: 5}
  teacher: {ensemble_size: 2}
  task:
    model: {ensemble_size: 2}
    objective: {teacher_cache: out/cache}
    train_data: {num_examples: 256}
    validation_data: {num_examples: 70, global_batch_size: 35}
  evaluation: {corruptions: [contrast], severities: [5]}
seeds: [0]
systems:
  single_network:
    {task: {model: {ensemble_size: 1}, objective: {kind: cross_entropy}}}
  head_student: {task: {objective: {kind: head}}}
figures:
  curves:
    {title: Curves, kind: learning_curves, systems: [single_network]}
export: head_student
"""
_DIGITS = '--experiment=digits_wrn10_1'
_SHORT = {
  'trainer.epochs': 2,
  'teacher.epochs': 4,
  'teacher.ensemble_size': 2,
  'task.model.ensemble_size': 2,
  'task.train_data.num_examples': 256,
  'trainer.steps_per_loop': 2,
  'trainer.checkpoint_interval': 4,
  'trainer.validation_interval': 5,
  'task.validation_data.num_examples': 70,
  'task.validation_data.global_batch_size': 35,
  'evaluation.corruptions': '[contrast]',
  'evaluation.severities': '[5]',
}
_LOGGED = re.compile(r'(?:train|eval) \| step: +\d+')


@dataclasses.dataclass(frozen=True)
class Job:
  """A command that writes to the folder `out`.

  Attributes:
    words: The command's script and flags.
    killed_in: The prefix of the files that count as progress. The job is
      killed while it makes these files.
    before: A command to run first. The job needs its results, which are in the
      folder `before`.
  """

  words: tuple[str, ...]
  killed_in: str = ''
  before: tuple[str, ...] = ()


def _short(**changes: float) -> str:
  """Returns the flag that makes an experiment short; `__` stands for a dot."""
  changed = {key.replace('__', '.'): value for key, value in changes.items()}
  return '--params_override=' + ','.join(
    f'{key}={value}' for key, value in {**_SHORT, **changed}.items()
  )


JOBS = {
  'trainer': Job(
    (
      'train.py',
      _DIGITS,
      '--model_dir=out',
      _short(),
    )
  ),
  'teacher': Job(
    (
      'distill.py',
      _DIGITS,
      '--model_dir=out',
      '--objective=head',
      _short(),
    ),
    killed_in='teacher/',
  ),
  'teacher_cache': Job(
    (
      'distill.py',
      _DIGITS,
      '--model_dir=out',
      '--teacher=before',
      '--teacher_cache=out/cache',
      '--mode=train',
      _short(trainer__epochs=16, task__validation_data__global_batch_size=7),
    ),
    killed_in='cache/',
    before=(
      'train.py',
      _DIGITS,
      '--model_dir=before',
      '--mode=train',
      _short(trainer__epochs=1),
    ),
  ),
  'make_corrupted': Job(
    (
      'make_corrupted.py',
      '--dataset=digits',
      '--output_dir=out',
    )
  ),
  'reproduce': Job(
    (
      'reproduce.py',
      '--study=study.yaml',
      '--output_dir=out',
    )
  ),
}


def write_study(folder: pathlib.Path) -> None:
  """Writes the study that the job `reproduce` runs."""
  (folder / 'study.yaml').write_text(_STUDY)


def marks(job: Job, folder: pathlib.Path) -> set[str]:
  """Returns the marks of a job's progress: files, and steps in the logs."""
  found = set()
  for place, _, names in os.walk(folder / 'out'):
    for name in names:
      path = pathlib.Path(place, name)
      mark = path.relative_to(folder / 'out').as_posix()
      if not mark.startswith(job.killed_in) or name.startswith('.'):
        continue
      if name == 'train.log':
        steps = _LOGGED.findall(path.read_text(errors='replace'))
        found.update(f'{mark}, {step}' for step in steps)
      elif 'tfevents' not in name and 'tempstate' not in name:
        found.add(mark)
  return found
