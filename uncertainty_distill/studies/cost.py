"""What a study still has to run, and what that costs."""

from __future__ import annotations

import copy
import dataclasses
import os

from uncertainty_distill import (
  configs,
  data,
  reports,
  runs,
  trained,
  training,
)
from uncertainty_distill.distribution import scheduling, simulated_pool
from uncertainty_distill.studies.spec import Study
from uncertainty_distill.studies.speed import (
  TRAINING_PASSES,
  Speed,
  image_flops,
  measure_speed,
)
from uncertainty_distill.studies.study_runner import (
  check_study,
  run_path,
  trained_systems,
)

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Cost:
  """What the runs of one teacher or system cost.

  Attributes:
    label: The label of the teacher or system.
    runs: The number of its runs.
    complete: The number of trained runs.
    steps: The training steps of a run.
    run_flops: The FLOPs of training one run from its beginning.
    flops_left: The FLOPs of the training that is still to be done.
  """

  label: str
  runs: int
  complete: int
  steps: int
  run_flops: float
  flops_left: float


def costs(study: Study, directory: str) -> list[Cost]:
  """Returns what each teacher and each system of a study costs.

  Args:
    study: A study that has been checked. Nothing is trained or written.
    directory: The folder that holds its runs, which need not exist.

  Raises:
    InputError: If a value is wrong.
  """
  rows = []
  # A part of a study lacks teachers that none of its systems needs.
  teachers = {label: _teacher_flops(study, label) for label in study.teachers}
  for label in study.teachers:
    if study.given_teacher(label):
      continue
    config = study.teacher_config(label)
    paths = training.teacher_paths(config, os.path.join(directory, label))
    search = config.teacher.search.num_runs
    member = training.resolve(
      configs.default_run(config) if search else configs.member_config(config)
    )
    cost = _cost(label, paths, member, _step_flops(member, 0.0))
    if training.complete_members(config, os.path.join(directory, label)):
      # Runs of a search that diverged are not trained to the end.
      cost = dataclasses.replace(cost, complete=len(paths), flops_left=0.0)
    rows.append(cost)
  for label in study.systems:
    paths = [run_path(directory, label, seed) for seed in study.seeds]
    config = training.resolve(study.system_config(label, study.seeds[0]))
    step = _step_flops(config, teachers.get(study.teacher_of[label], 0.0))
    rows.append(_cost(label, paths, config, step))
  return rows


def evaluation_flops(study: Study) -> float:
  """Returns the FLOPs of scoring all systems on all sets of images."""
  config = training.resolve(study.config)
  images = config.task.validation_data.num_examples or len(
    data.open_configured(config.task.train_data).test
  )
  corrupted = min(config.evaluation.num_examples or images, images)
  images += corrupted * (len(data.parse_shifts(config.evaluation)) - 1)
  teachers = [_teacher_flops(study, label) for label in study.teachers]
  systems = [
    study.system_config(label, study.seeds[0])
    for label in (*study.systems, *study.merged.values())
  ]
  for config in systems[len(study.systems) :]:
    config.task.model.ensemble_size = 1  # The members are one network.
  networks = teachers + [len(study.seeds) * image_flops(c) for c in systems]
  return float(images * sum(networks))


def estimate(
  study: Study,
  directory: str,
  strategy: tf.distribute.Strategy,
  pool: scheduling.Pool | None = None,
) -> str:
  """Returns in Markdown what is left to do of a study, and what it costs.

  Nothing is trained or written; a few steps are measured.

  Args:
    study: The study to run.
    directory: The folder that holds its runs, which need not exist.
    strategy: The devices.
    pool: The pool that would train the study, on which the steps are measured.
      By default they are measured on `strategy`.

  Raises:
    InputError: If the study is wrong.
  """
  check_study(study, strategy)
  trained_systems(study, directory, {}, strategy)  # Warns of other runs there.
  rows = costs(study, directory)
  evaluating = evaluation_flops(study)
  if not any(row.flops_left for row in rows):
    return (
      f'{_table(rows, evaluating, None)}\n\nAll runs are trained. The '
      'evaluation covers what has no results yet, which is everything at most.'
    )
  speed = (
    _speed_on(pool, study.config)
    if pool
    else measure_speed(study.config, strategy)
  )
  text = (
    f'{_table(rows, evaluating, speed)}\n\nTimes assume '
    f'{speed.flops_per_second / 1e12:.3g} TFLOP/s and {speed.startup:.0f} s '
    'of preparation per run, as measured '
    f'{"on one of the machines" if pool else "here"} just now.'
  )
  if pool is None:
    return text
  number = pool.parallel_jobs or 1
  seconds = _makespan(study, rows, speed, number)
  seconds += speed.seconds(evaluating) / number
  return (
    f'{text} They are for one run at a time; with {number} runs at a time, '
    f'teachers before their students, everything takes {_duration(seconds)}.'
  )


@dataclasses.dataclass
class _SpeedJob(scheduling.UnsavedJob):
  """Measures how fast the devices of a pool are."""

  config: configs.ExperimentConfig
  label: str = 'a few steps'

  def run(self, strategy: tf.distribute.Strategy) -> Speed:
    return measure_speed(self.config, strategy)


def _speed_on(pool: scheduling.Pool, config: configs.ExperimentConfig) -> Speed:
  found: list[Speed] = []
  job = _SpeedJob(copy.deepcopy(config))
  task = scheduling.Task(job.label, lambda: job, finish=found.append)
  scheduling.raise_failure(scheduling.run([task], pool))
  return found[0]


def _makespan(
  study: Study, rows: list[Cost], speed: Speed, number: int
) -> float:
  """Returns the seconds until all is trained, by simulating the schedule."""
  names = {row.label: [] for row in rows}
  tasks = []
  for row in rows:
    teacher = study.teacher_of.get(row.label, '')
    needs = teacher and study.needs_teacher(row.label)
    for index in range(row.runs - row.complete):
      seconds = speed.seconds(row.flops_left / (row.runs - row.complete), 1)
      job = simulated_pool.SimulatedJob(f'{row.label}, {index}', round(seconds))
      tasks.append(
        scheduling.Task(
          job.label,
          lambda job=job: job,
          names.get(teacher, []) if needs else [],
          seconds,
        )
      )
      names[row.label].append(job.label)
  pool = simulated_pool.SimulatedPool(number)
  scheduling.run(tasks, pool)
  return pool.now


def _table(rows: list[Cost], evaluating: float, speed: Speed | None) -> str:
  """Returns the table of what is left of runs, evaluation, and in total."""
  left = evaluating + sum(row.flops_left for row in rows)
  num_runs, complete = (
    sum(getattr(row, name) for row in rows) for name in ('runs', 'complete')
  )

  def cells(label, done, steps, each, flops, missing_runs=0):
    duration = '-'
    if speed:
      duration = _duration(speed.seconds(flops, missing_runs))
    return [label, done, steps, each, f'{flops / 1e12:,.4g}', duration]

  done = f'{complete} of {num_runs}'
  return reports.markdown_table(
    ['Runs', 'Complete', 'Steps each', 'TFLOP each', 'TFLOP left', 'Time left'],
    [
      *(
        cells(
          row.label,
          f'{row.complete} of {row.runs}',
          str(row.steps),
          f'{row.run_flops / 1e12:,.4g}',
          row.flops_left,
          row.runs - row.complete,
        )
        for row in rows
      ),
      cells('evaluation', '-', '-', '-', evaluating),
      cells('all', done, '-', '-', left, num_runs - complete),
    ],
  )


def _cost(label, paths, config, step_flops) -> Cost:
  steps = config.trainer.train_steps
  done = [
    min(runs.RunFolder(path, config).step, steps) if runs.is_run(path) else 0
    for path in paths
  ]
  return Cost(
    label,
    len(paths),
    done.count(steps),
    steps,
    step_flops * steps,
    step_flops * sum(steps - trained for trained in done),
  )


def _teacher_flops(study: Study, label: str) -> float:
  """Returns the FLOPs of a teacher's answer for one image.

  That of stored predictions is 0. A SavedModel's network is not known; it
  counts as one of the experiment's own teacher.
  """
  config, given = study.teacher_config(label), study.given_teacher(label)
  member = image_flops(configs.member_config(config))
  if not given:
    return config.teacher.ensemble_size * member
  if trained.is_predictions(given[0]):
    return 0.0
  model = trained.open_trained(given, 'task.objective.teacher')
  dataset = data.open_configured(config.task.train_data)
  # A SavedModel may take images of any size.
  model.check_fits(
    dataset.spec.image_shape,
    dataset.spec.num_classes,
    lambda: dataset.train.numpy(slice(32)),
  )
  return sum(
    image_flops(part.config) if part.config else part.ensemble_size * member
    for part in model.parts
  )


def _step_flops(
  config: configs.ExperimentConfig, teacher_flops: float
) -> float:
  """Returns the FLOPs of a training step.

  Args:
    config: The experiment.
    teacher_flops: The FLOPs of the teacher's answer for one image.
  """
  objective, members = config.task.objective, config.task.model.ensemble_size
  seen_by = config.task.members_per_example / members
  flops = TRAINING_PASSES * image_flops(config) * seen_by
  if objective.has_clean_pass:
    flops *= 2
  # A cached teacher is only read. Making its cache is a small part of training.
  if objective.uses_teacher and not objective.teacher_cache:
    # To change a view, the teacher also computes its gradient by the image: a
    # pass forward and one back, in addition to that of the changed view.
    passes = 1 if objective.perturbation == 'none' else 3
    flops += passes * teacher_flops
  return float(flops * config.task.train_data.global_batch_size)


def _duration(seconds: float) -> str:
  """Returns a time to two digits or so: `40 s`, `12 min`, `3.5 h`, `2.1 d`."""
  for unit, name in (86400, 'd'), (3600, 'h'):
    if seconds >= 2 * unit:
      return f'{seconds / unit:.1f} {name}'
  return f'{seconds / 60:.0f} min' if seconds >= 120 else f'{seconds:.0f} s'
