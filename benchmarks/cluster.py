r"""Compares a study of 234 runs on preemptible machines with the ideal.

The package's own scheduler runs the paper's CIFAR-10 study on a simulated
clock: a teacher of four members, a search of 100 runs, and 13 systems with ten
seeds each. Every machine is a TPU host that is taken away for two minutes, once
an hour on average.

  python benchmarks/cluster.py --workers=8,32,128
"""

import logging

from uncertainty_distill import reports
from uncertainty_distill.distribution import scheduling, simulated_pool

from absl import app, flags

_WORKERS = flags.DEFINE_list(
  'workers', ['8', '32', '128'], 'Numbers of machines.'
)
_STARTUP, _OUTAGE, _CHECKPOINT, _PREEMPTION = 60, 120, 600, 3600
# A host with four chips of TPU v5e, at 40% of 197 TFLOP/s in bfloat16.
_FLOPS = 4 * 0.4 * 197e12
# FLOPs per image, in a training step of a plain WRN-28-10 and in a forward pass
# through a teacher of four (from the table in docs/performance.md).
_NETWORK, _TEACHER = 0.918e12 / 32, 1.221e12 / 32
_IMAGES = 50_000


def jobs() -> dict[str, tuple[int, tuple[str, ...]]]:
  """Returns the seconds and needs of each run of the paper's CIFAR-10 study."""
  plain = round(200 * _IMAGES * _NETWORK / _FLOPS)
  members = tuple(f'member {index}' for index in range(4))
  searched = tuple(f'search run {index}' for index in range(100))
  found = {name: (plain, ()) for name in members + searched}

  def add(label, size, learns=True, needs=members):
    cost = size * _NETWORK + (_TEACHER if learns else 0)
    for seed in range(10):
      seconds = round(250 * _IMAGES * cost / _FLOPS)
      found[f'{label}, seed {seed}'] = seconds, needs

  add('batch_ensemble', 4, learns=False, needs=())
  add('initialized_batch_ensemble', 4, learns=False)
  add('lone_student', 1)
  for label in 'initialized_knowledge_student', 'head_student':
    add(label, 4)
  for label in 'hyper_head_student', 'hyper_knowledge_student':
    add(label, 4, needs=searched)
  for size in range(3, 9):
    add(f'knowledge_student of {size}', size)
  return found


def makespan(
  num_machines: int, seed: int = 0, preemption_interval: float = _PREEMPTION
) -> tuple[float, float, int]:
  """Returns the study's seconds, the ideal's seconds, and the preemptions.

  In the ideal, the same number of machines start at once and are never taken
  away. The ideal's time is the work divided by the number of machines, or the
  longest chain of runs if this chain takes longer.
  """
  work = jobs()
  pool = simulated_pool.SimulatedPool(
    num_machines, _STARTUP, _CHECKPOINT, preemption_interval, _OUTAGE, seed
  )
  tasks = []
  for name, (seconds, needs) in work.items():
    job = simulated_pool.SimulatedJob(name, seconds)
    tasks.append(
      scheduling.Task(name, lambda job=job: job, needs, float(seconds))
    )
  assert not scheduling.run(tasks, pool)
  total = sum(seconds for seconds, _ in work.values())
  chains = [
    seconds + max((work[name][0] for name in needs), default=0)
    for seconds, needs in work.values()
  ]
  ideal = max(total / num_machines, *chains)
  return pool.now, ideal, pool.preemptions


def main(argv):
  del argv
  logging.getLogger('uncertainty_distill').setLevel(logging.ERROR)
  rows = []
  for number in map(int, _WORKERS.value):
    alone, ideal, _ = makespan(number, preemption_interval=float('inf'))
    seconds, _, lost = makespan(number)
    rows.append(
      [
        str(number),
        f'{ideal / 3600:.1f}',
        f'{alone / 3600:.1f}',
        f'{seconds / 3600:.1f}',
        f'{seconds / ideal:.2f}',
        str(lost),
      ]
    )
  print(
    reports.markdown_table(
      [
        'Machines',
        'Ideal, h',
        'Never preempted, h',
        'Once an hour, h',
        'of the ideal',
        'Preemptions',
      ],
      rows,
    )
  )


if __name__ == '__main__':
  app.run(main)
