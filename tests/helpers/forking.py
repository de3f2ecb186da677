"""Calls commands many times, each in a fork of a process that imported it.

Importing TensorFlow takes longer than most mistakes take to be found.
"""

import concurrent.futures
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import traceback

import running


@dataclasses.dataclass(frozen=True)
class Answer:
  """What one call said, and its exit code."""

  returncode: int
  stdout: str
  stderr: str


def answers(calls):
  """Calls commands, two of them at a time.

  Args:
    calls: From any key to a command's name and its arguments.

  Returns:
    From each key to its Answer.
  """
  by_command = {}
  for key, (name, *arguments) in calls.items():
    by_command.setdefault(name, {})[key] = [str(a) for a in arguments]
  found = {}
  with concurrent.futures.ThreadPoolExecutor(2) as pool:
    for of_command in pool.map(_answers, by_command, by_command.values()):
      found.update(of_command)
  return {key: found[key] for key in calls}


def check_mistakes(wanted_and_said):
  """Asserts that calls failed as a user's mistakes do.

  Args:
    wanted_and_said: From any key to the words that must be said, and an Answer.
  """
  wrong = {
      key: (wanted, answer)
      for key, (wanted, answer) in wanted_and_said.items()
      if answer.returncode != 2
      or wanted not in answer.stderr
      or len(answer.stderr.strip().splitlines()) != 1
      or len(answer.stderr) > 1500
  }
  assert not wrong, '\n'.join(map(repr, wrong.items()))


def _answers(name, calls):
  """Calls one command; a process of its own forks for each."""
  environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}
  environment.pop('TF_CPP_MIN_LOG_LEVEL', None)
  with tempfile.TemporaryDirectory() as folder:
    subprocess.run(
        [sys.executable, __file__, name, folder], check=True, text=True,
        input=json.dumps(list(calls.values())), cwd=running.ROOT,
        timeout=600, env=environment,
    )
    with open(os.path.join(folder, 'answers.json'), encoding='utf-8') as file:
      return {
          key: Answer(**answer) for key, answer in zip(calls, json.load(file))
      }


def _end(call):
  """Ends this process as a call does, but for the tidying up of memory."""
  code = 1
  try:
    call()
  except SystemExit as error:
    code = error.code
  except BaseException:  # pylint: disable=broad-exception-caught
    traceback.print_exc()
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(code or 0)


def _serve(name, folder):
  """Forks for each list of arguments on standard input."""
  import importlib  # pylint: disable=g-import-not-at-top
  package = 'uncertainty_distill.baselines.cifar'
  launch = importlib.import_module(f'{package}.launch')
  module = importlib.import_module(f'{package}.{name}')
  module.launch = launch  # One command imports it when it is run.
  said = []
  for arguments in json.load(sys.stdin):
    paths = [os.path.join(folder, stream) for stream in ('out', 'err')]
    process = os.fork()
    if not process:
      for number, path in enumerate(paths, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
      sys.argv = [f'{name}.py', *arguments]
      _end(lambda: launch.run(module.main, takes_arguments=name == 'predict'))
    _, status = os.waitpid(process, 0)
    said.append({'returncode': os.waitstatus_to_exitcode(status)})
    for stream, path in zip(('stdout', 'stderr'), paths):
      with open(path, encoding='utf-8') as file:
        said[-1][stream] = file.read()
  with open(
      os.path.join(folder, 'answers.json'), 'w', encoding='utf-8'
  ) as file:
    json.dump(said, file)


if __name__ == '__main__':
  _serve(*sys.argv[1:])
