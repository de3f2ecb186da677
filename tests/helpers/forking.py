"""Runs commands in forks of a process that has imported what they need.

The imports take longer than most commands that tests run. Each line of standard
input is a command as JSON; each line of the output is a command's exit code.
"""

import gc
import json
import os
import runpy
import signal
import sys
import traceback

# SIGALRM ends a command that hangs.
_SECONDS = 300


def _run(words, environment, streams):
  """Continues as a new process that runs a script; does not return."""
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
  # Cleaning up the imported modules would copy all of their memory.
  os._exit(code)


def _serve():
  # Imported first, for the log level that it sets.
  from uncertainty_distill.baselines.cifar import launch  # noqa: F401, I001
  from uncertainty_distill import evaluation, reports, trained, training
  from uncertainty_distill import studies  # noqa: F401
  from uncertainty_distill.api import image_files  # noqa: F401
  from uncertainty_distill.baselines.cifar import finish  # noqa: F401

  # Most rooms import a name only when the name is first used.
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
