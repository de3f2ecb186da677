"""Builds the wheel, installs it elsewhere and runs what it holds."""

import ast
import json
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
# The sources of a wheel. They are copied, so that the build leaves nothing in
# the tree.
SOURCES = (
  'setup.py',
  'pyproject.toml',
  'README.md',
  'LICENSE',
  'uncertainty_distill',
  'baselines',
  'configs',
)
# Maps folders of the tree to folders of the wheel.
FOLDERS = {
  'uncertainty_distill': 'uncertainty_distill',
  'baselines': 'uncertainty_distill/baselines',
  'configs': 'uncertainty_distill/configs',
}

# Maps a module to its distribution if the two have different names.
DISTRIBUTIONS = {
  'PIL': 'pillow',
  'absl': 'absl-py',
  'cv2': 'opencv-python-headless',
  'markdown_it': 'markdown-it-py',
  'official': 'tf-models-official',
  'orbit': 'tf-models-official',
  'sklearn': 'scikit-learn',
  'yaml': 'PyYAML',
}

PROBE = """
import json
import pathlib
from uncertainty_distill.baselines.cifar import distill
from uncertainty_distill import configs
from uncertainty_distill import reports
reports.load_paper_tables()
pathlib.Path('a.md').write_text('# A')
page = reports.write_page('.', 'a.html', {'a.md': ''})
assert '<h1' in pathlib.Path(page).read_text()
for name in configs.experiment_names():
  configs.load_config(name)
print(json.dumps([distill.__file__, configs.__file__,
                  configs.experiment_names()]))
"""


def _run(*command, cwd):
  process = subprocess.run(
    [str(word) for word in command],
    cwd=cwd,
    capture_output=True,
    check=False,
    text=True,
  )
  assert process.returncode == 0, process.stdout + process.stderr
  return process.stdout


@pytest.fixture(name='wheel', scope='module')
def _wheel(tmp_path_factory):
  """The path of the wheel."""
  copy = tmp_path_factory.mktemp('copy')
  for name in SOURCES:
    if (ROOT / name).is_dir():
      ignored = shutil.ignore_patterns('__pycache__')
      shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    else:
      shutil.copy(ROOT / name, copy)
  build = "from setuptools import build_meta; build_meta.build_wheel('dist')"
  _run(sys.executable, '-c', build, cwd=copy)
  (wheel,) = (copy / 'dist').glob('*.whl')
  return wheel


def test_the_wheel_holds_every_module_and_table_and_nothing_else(wheel):
  wanted = {
    f'{folder}/{path.relative_to(ROOT / top).as_posix()}'
    for top, folder in FOLDERS.items()
    for suffix in ('*.py', '*.pyi', '*.json', '*.jinja', '*.yaml', 'py.typed')
    for path in (ROOT / top).rglob(suffix)
  }
  names = set(zipfile.ZipFile(wheel).namelist())
  assert {name for name in names if '.dist-info/' not in name} == wanted


@pytest.fixture(name='environment', scope='module')
def _environment(wheel, tmp_path_factory):
  """An environment that has the wheel installed."""
  home = tmp_path_factory.mktemp('installed') / 'env'
  venv.create(home)
  python = home / 'bin' / 'python'
  (site,) = home.glob('lib/python*/site-packages')
  # Dependencies come from the environment of this test. A path in a .pth file
  # does not run the .pth files there, so an editable install stays outside. The
  # distutils that setuptools gives to TensorFlow Probability would stay outside
  # as well, so its .pth file is copied.
  dependencies = pathlib.Path(sysconfig.get_path('purelib'))
  (site / 'dependencies.pth').write_text(str(dependencies))
  shutil.copy(dependencies / 'distutils-precedence.pth', site)
  _run(
    sys.executable,
    '-m',
    'pip',
    '--python',
    python,
    'install',
    '--no-index',
    '--no-deps',
    '--quiet',
    '--ignore-installed',
    wheel,
    cwd=home,
  )
  return home


def test_an_installed_wheel_has_the_experiments(environment, tmp_path):
  python = environment / 'bin/python'
  (site,) = environment.glob('lib/python*/site-packages')
  lines = _run(python, '-c', PROBE, cwd=tmp_path).splitlines()
  *files, experiments = json.loads(lines[-1])
  assert all(pathlib.Path(file).is_relative_to(site) for file in files)
  assert {'digits_wrn10_1', 'cifar10_wrn28_10', 'cifar100_wrn28_10'} <= set(
    experiments
  )


@pytest.mark.slow
def test_the_console_command_does_what_the_scripts_do(environment, tmp_path):
  program = environment / 'bin/uncertainty-distill'
  shown = _run(program, cwd=tmp_path)
  scripts = (ROOT / 'baselines/cifar').glob('*.py')
  commands = {p.stem for p in scripts if 'launch.run(' in p.read_text()}
  told = set(re.findall(r'^  (\w+)', shown, re.M))
  assert told == {*commands, 'quickstart'}
  shown = _run(program, 'export', '--help', cwd=tmp_path)
  assert '\nuncertainty-distill export --run=' in shown
  flags = set(re.findall(r'^  --(?:\[no\])?(\w+):', shown, re.M))
  assert {'run', 'output_dir', 'tflite'} <= flags
  plan = _run(program, 'quickstart', '--dry_run', '--parallel=1', cwd=tmp_path)
  assert '| knowledge_student ' in plan
  assert not list(tmp_path.iterdir())
  wrong = subprocess.run([program, 'distil'], check=False, capture_output=True)
  assert wrong.returncode == 2 and b'distil' in wrong.stderr


def test_every_import_is_declared(wheel):
  imported = set()
  with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
      if name.endswith('.py'):
        for node in ast.walk(ast.parse(archive.read(name))):
          if isinstance(node, ast.Import):
            imported.update(alias.name.split('.')[0] for alias in node.names)
          elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.split('.')[0])
      elif name.endswith('/METADATA'):
        text = archive.read(name).decode()
  declared = set(re.findall(r'^Requires-Dist: ([\w.-]+)', text, re.M))
  needed = {
    DISTRIBUTIONS.get(name, name.replace('_', '-'))
    for name in imported - {'uncertainty_distill', *sys.stdlib_module_names}
  }
  assert needed <= declared, f'setup.py lacks {sorted(needed - declared)}'
