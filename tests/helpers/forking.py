"""Runs commands in forks of a process that has imported what they need.

The imports take longer than most of what a test asks of a command. Each line of
standard input is a command, as JSON; each line of the output is its exit code.
"""

import gc
import json
import os
import runpy
import signal
import sys
import traceback

# What hangs ends by SIGALRM.
_SECONDS = 300


def _run(words, environment, streams):
  """Goes on as a new process would that is given a script's words."""
  for number, path in enumerate([os.devnull, *streams]):
    os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
  os.environ.clear()
  os.environ.update(environment)
  signal.alarm(_SECONDS)
  sys.argv = words
  sys.path[0] = os.path.dirname(words[0])
  code = 1
  try:
    runpy.run_path(words[0], run_name='__main__')
    code = 0
  except SystemExit as error:
    code = error.code or 0
  except BaseException:
    traceback.print_exc()
  sys.stdout.flush()
  sys.stderr.flush()
  # Tidying up what was imported would copy all of its memory.
  os._exit(code)


def _serve():
  # First, for the log level that it sets.
  from uncertainty_distill.baselines.cifar import launch  # noqa: F401, I001
  from uncertainty_distill import evaluation, reports, trained, training
  from uncertainty_distill import studies  # noqa: F401
  from uncertainty_distill.api import image_files  # noqa: F401
  from uncertainty_distill.baselines.cifar import finish  # noqa: F401

  # Most rooms import each of their names at its first use.
  for room in evaluation, reports, trained, training:
    for name in room.__all__:
      getattr(room, name)
  gc.freeze()
  for line in sys.stdin:
    process = os.fork()
    if not process:
      _run(**json.loads(line))
    _, status = os.waitpid(process, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == '__main__':
  _serve()
