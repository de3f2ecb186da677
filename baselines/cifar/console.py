"""The command `uncertainty-distill`, which runs the commands beside this file.

An installation puts `uncertainty-distill` on the PATH. It runs a command's
module as Python runs the script, so both have the same flags and output.
"""

from __future__ import annotations

import ast
import importlib.util
import sys

import uncertainty_distill

PROGRAM = 'uncertainty-distill'
COMMANDS = (
  'distill',
  'train',
  'evaluate',
  'export',
  'predict',
  'reproduce',
  'reconstruct',
  'make_corrupted',
)
_QUICKSTART = 'quickstart'
_PACKAGE = 'uncertainty_distill.baselines.cifar'


def main() -> None:
  """Runs `uncertainty-distill COMMAND ...`; lists the commands without one."""
  name, *words = sys.argv[1:] or ['--help']
  if name in ('--help', '--helpfull', '-h', '-help', 'help'):
    print(_help())
  elif name == '--version':
    print(f'{PROGRAM} {uncertainty_distill.__version__}')
  elif name == _QUICKSTART:
    names = (word.lstrip('-') for word in words if word.startswith('-'))
    is_given = any(
      name.startswith(('parallel', 'ray', 'tpu')) for name in names
    )
    parallel = [] if is_given else ['--parallel=2']
    _run('reproduce', [f'--study={_QUICKSTART}', *parallel, *words])
  elif name in COMMANDS:
    _run(name, words)
  else:
    print(
      f'\nerror: {name!r} is not a command: write one of '
      f'{", ".join((_QUICKSTART, *COMMANDS))}',
      file=sys.stderr,
    )
    sys.exit(2)


def command_line(name: str, script: str) -> str:
  """Returns how to call a command in the way that the running one was called.

  Args:
    name: The command, one of `COMMANDS`.
    script: The command line to return if the running command is a script.
  """
  if sys.argv[0].startswith(f'{PROGRAM} '):
    return f'{PROGRAM} {name}'
  return script


def _run(name: str, words: list[str]) -> None:
  """Runs the module of a command as the main module, with the given words."""
  sys.argv[:] = [f'{PROGRAM} {name}', *words]
  spec = importlib.util.find_spec(f'{_PACKAGE}.{name}')
  module = importlib.util.module_from_spec(spec)
  module.__name__ = '__main__'
  # Processes that the command starts import the main module by the name in its
  # spec.
  sys.modules['__main__'] = module
  try:
    exec(spec.loader.get_code(spec.name), vars(module))
  except ModuleNotFoundError as error:
    print(
      f'\nerror: {PROGRAM} {name} needs the module {error.name}, which is not '
      "installed: install this package's dependencies as well",
      file=sys.stderr,
    )
    sys.exit(2)


def _help() -> str:
  """Returns the list of commands, with the first lines of their modules."""
  rows = {_QUICKSTART: 'Runs the first study, quickstart, in a few minutes.'}
  for name in COMMANDS:
    loader = importlib.util.find_spec(f'{_PACKAGE}.{name}').loader
    tree = ast.parse(loader.get_source(f'{_PACKAGE}.{name}'))
    rows[name] = ast.get_docstring(tree).partition('\n')[0]
  return '\n'.join(
    [
      f'usage: {PROGRAM} COMMAND [--flag=value ...]\n',
      *(f'  {name:15} {meaning}' for name, meaning in rows.items()),
      f'\n{PROGRAM} COMMAND --help lists the flags of a command.',
    ]
  )
