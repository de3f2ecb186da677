r"""Compiles an experiment's steps for a TPU that need not be there.

Prints what the steps cost.

  pip install -c constraints.txt -e '.[aot]'
  python benchmarks/tpu_compile.py --experiment=cifar10_wrn28_10 --tpu=v5e \
      --examples=16 --output=runs/tpu_compile.json

The steps are the trainer's training step and evaluation step on one core. To
compile one takes half a minute for a WRN-10-1 and minutes for a WRN-28-10. If
the dataset is not there, --image_shape and --classes describe it:

  python benchmarks/tpu_compile.py --experiment=imagenet_resnet50 \
      --image_shape=224,224,3 --classes=1000 --examples=32

With --output nothing is compiled twice. A result is looked up by the program
that was compiled, so it never comes from another version of the code.
"""

from __future__ import annotations

import functools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

from uncertainty_distill import configs, data, training

import systems
import tpu_compiler
import tpu_hlo
from absl import app, flags

_EXPERIMENT = flags.DEFINE_string(
  'experiment', 'cifar10_wrn28_10', 'A registered experiment.'
)
_OVERRIDE = flags.DEFINE_string(
  'params_override', '', 'Changes to it, as for the commands.'
)
_IMAGE_SHAPE = flags.DEFINE_list(
  'image_shape', [], 'H,W,C of a dataset that need not be there.'
)
_CLASSES = flags.DEFINE_integer('classes', 10, 'How many classes it has.')
_TPU = flags.DEFINE_enum(
  'tpu', 'v5e', list(tpu_compiler.TPUS), 'What to compile for.'
)
_EXAMPLES = flags.DEFINE_integer('examples', 16, 'Distinct ones a core.')
_DTYPE = flags.DEFINE_enum(
  'dtype', 'bfloat16', ['float32', 'bfloat16'], 'What it computes in.'
)
_SYSTEMS = flags.DEFINE_list(
  'systems',
  list(systems.SYSTEMS),
  'Which of ' + ', '.join(systems.SYSTEMS) + '.',
)
_STEPS = flags.DEFINE_list(
  'steps', list(systems.STEPS), 'Which of train, evaluation.'
)
_LARGEST = flags.DEFINE_bool(
  'largest',
  False,
  'Find the largest batch, a power of two, whose training step a core holds.',
)
_OUTPUT = flags.DEFINE_string(
  'output', '', 'A JSON file of results, which are not compiled again.'
)
_PROGRAMS = flags.DEFINE_string(
  'programs', '', "A folder for the compiled programs' text."
)
_TRAFFIC = flags.DEFINE_bool(
  'traffic', False, 'Print what kinds of operation move the bytes.'
)


class Results:
  """The results so far, in a file to which every new result is added."""

  def __init__(self, path: str):
    """Reads the file if it exists; without a path, nothing is written."""
    self._path = pathlib.Path(path) if path else None
    self._rows = []
    if path and self._path.exists():
      self._rows = json.loads(self._path.read_text(encoding='utf-8'))

  def find(self, key: dict[str, Any]) -> dict[str, Any] | None:
    """Returns the first row that has all values of the key, or None."""
    return next((row for row in self._rows if key.items() <= row.items()), None)

  def add(self, row: dict[str, Any]) -> None:
    """Adds a row; a reader of the file sees either its old or new content."""
    self._rows.append(row)
    if self._path:
      self._path.parent.mkdir(parents=True, exist_ok=True)
      unfinished = self._path.with_suffix('.unfinished')
      unfinished.write_text(json.dumps(self._rows, indent=1), encoding='utf-8')
      unfinished.replace(self._path)


class _Described:
  """A dataset of which only the shape is known."""

  num_train = 1_000_000

  def __init__(self, image_shape: list[str], num_classes: int):
    """Takes H, W, C as in the flag, and the number of classes."""
    height, width, channels = map(int, image_shape)
    classes = tuple(map(str, range(num_classes)))
    self.spec = data.DatasetSpec(
      'described', (height, width, channels), classes, (0.5,), (0.25,)
    )


def _resolved() -> configs.ResolvedConfig:
  """Returns the experiment, resolved and checked."""
  config = configs.load_config(_EXPERIMENT.value, (), _OVERRIDE.value)
  config.runtime.mixed_precision_dtype = _DTYPE.value
  if _IMAGE_SHAPE.value:
    dataset = _Described(_IMAGE_SHAPE.value, _CLASSES.value)
    return configs.resolve(config, dataset)
  return training.resolve(config)


def _compile(hlo: bytes, name: str) -> dict[str, Any]:
  """Compiles in another process; returns the figures."""
  with tempfile.NamedTemporaryFile(suffix='.hlo') as file:
    file.write(hlo)
    file.flush()
    command = [sys.executable, tpu_compiler.__file__, file.name]
    if _PROGRAMS.value:
      os.makedirs(_PROGRAMS.value, exist_ok=True)
      path = os.path.join(_PROGRAMS.value, f'{name}.txt')
      command.append(f'--program={path}')
    process = subprocess.run(
      [*command, f'--tpu={_TPU.value}'],
      capture_output=True,
      check=False,
      text=True,
    )
  if process.returncode:
    sys.exit(f'error: {name} does not compile:\n{process.stderr[-3000:]}')
  return json.loads(process.stdout.splitlines()[-1])


def _measure(
  steps: tpu_hlo.Steps,
  system: str,
  step: str,
  examples: int,
  results: Results,
) -> dict[str, Any]:
  """Returns the figures of a step, from earlier results if possible."""
  hlo = steps.lower(step, examples)
  key = {
    'fingerprint': tpu_hlo.fingerprint(hlo),
    'tpu': _TPU.value,
    **tpu_compiler.versions(),
  }
  labels = {
    'experiment': _EXPERIMENT.value,
    'override': _OVERRIDE.value,
    'system': system,
    'step': step,
    'examples': examples,
    'dtype': _DTYPE.value,
  }
  known = None if _PROGRAMS.value else results.find({**key, **labels})
  if known:
    return known
  # Systems whose programs are the same share the figures, not the labels.
  same = None if _PROGRAMS.value else results.find(key)
  name = f'{system}_{step}_{examples}_{_DTYPE.value}_{_TPU.value}'
  row = {**(same or _compile(hlo, name)), **key, **labels}
  results.add(row)
  return row


def _largest(measure, first: dict[str, Any]) -> int:
  """Returns the largest power of two of examples that a core holds.

  Memory grows linearly with the batch, so two compilations give a first guess.
  The returned number was compiled, and compiling its double failed.
  """
  examples = 2 ** (first['examples'].bit_length() - 1)
  second = measure(2 * examples)
  if 'error' not in first and 'error' not in second:
    growth = max(second['memory'] - first['memory'], 1) / (
      second['examples'] - first['examples']
    )
    free = tpu_compiler.TPUS[_TPU.value].hbm - first['memory']
    examples = 2 ** (int(first['examples'] + free / growth).bit_length() - 1)
  while examples and 'error' in measure(examples):
    examples //= 2
  while examples and 'error' not in measure(2 * examples):
    examples *= 2
  return examples


def _print_header() -> None:
  tpu = tpu_compiler.TPUS[_TPU.value]
  versions = ', '.join(' '.join(v) for v in tpu_compiler.versions().items())
  print(
    f'{_EXPERIMENT.value} {_OVERRIDE.value}: {_EXAMPLES.value} examples a '
    f'core, {_DTYPE.value}, {_TPU.value} ({tpu.flops / 1e12:.0f} TFLOP/s, '
    f'{tpu.bandwidth / 1e9:.0f} GB/s, {tpu.hbm / 1e9:.0f} GB); {versions}\n\n'
    '| System | Step | HBM used, GB | TFLOP | Moved, GB | an example '
    '| of it HBM, GB | Roofline, ms | Mcycles | Largest batch |\n'
    '|---|---|--:|--:|--:|--:|--:|--:|--:|--:|',
    flush=True,
  )


def _print_row(row: dict[str, Any], largest: int | None) -> None:
  about = systems.SYSTEMS[row['system']].about
  if 'error' in row:
    print(f'| {about} | {row["step"]} | does not fit: {row["error"]} |')
    return
  tpu = tpu_compiler.TPUS[_TPU.value]
  compute = row['flops'] / tpu.flops
  memory = row['hbm'] / tpu.bandwidth
  bound = 'compute' if compute > memory else 'memory'
  print(
    f'| {about} | {row["step"]} | {row["memory"] / 1e9:.3g} '
    f'| {row["flops"] / 1e12:.4g} | {row["moved"] / 1e9:.4g} '
    f'| {row["moved"] / 1e9 / row["examples"]:.3g} | {row["hbm"] / 1e9:.3g} '
    f'| {1e3 * max(compute, memory):.3g} ({bound}) '
    f'| {row["cycles"] / 1e6:.3g} | {largest or ""} |',
    flush=True,
  )
  if _TRAFFIC.value:
    kinds = sorted(row['by_kind'].items(), key=lambda kind: -sum(kind[1]))
    for kind, (hbm, vmem) in kinds[:10]:
      print(f'    {kind:20} HBM {hbm / 1e9:7.3f} VMEM {vmem / 1e9:7.3f} GB')


def main(argv):
  del argv
  config = _resolved()
  results = Results(_OUTPUT.value)
  _print_header()
  for system in _SYSTEMS.value:
    steps = tpu_hlo.Steps(config, system)
    for step in _STEPS.value:
      measure = functools.partial(
        _measure, steps, system, step, results=results
      )
      row = measure(_EXAMPLES.value)
      largest = None
      if _LARGEST.value and step == 'train':
        largest = _largest(measure, row)
      _print_row(row, largest)


if __name__ == '__main__':
  app.run(main)
