"""Tests of the use of each dependency, and of what works without most."""

import ast
import json
import pathlib
import re
import subprocess
import sys

import uncertainty_distill as ud

import numpy as np
import running

_SAVED_MODEL = running.ROOT / 'tests/golden/v0.1.0/saved_model'
_STUDENT = running.ROOT / 'tests/golden/v0.1.0/student'
_MISSING = (
  'edward2 etils filelock importlib_resources jinja2 markdown_it matplotlib '
  'official orbit sklearn tensorflow_datasets tensorflow_metadata '
  'tensorflow_models tensorflow_probability threadpoolctl '
  'torch_uncertainty_assets tqdm yaml'
).split()
_PROBS = [[[0.75, 0.25], [0.5, 0.5]], [[0.25, 0.75], [0.75, 0.25]]]

# A module that is None fails to import like a module that is not installed.
_WITHOUT = """
import json
import sys
sys.modules.update(dict.fromkeys({missing!r}))
import numpy as np
import uncertainty_distill as ud
"""


def _run_without(missing, code):
  """Returns the JSON that code prints last if some modules are missing."""
  done = subprocess.run(
    [sys.executable, '-c', _WITHOUT.format(missing=missing) + code],
    capture_output=True,
    text=True,
    check=False,
    timeout=300,
  )
  assert done.returncode == 0, done.stderr
  return json.loads(done.stdout.splitlines()[-1])


def test_models_and_results_need_a_part_of_the_dependencies(tmp_path):
  found = _run_without(
    [*_MISSING, 'cv2'],
    f"""
from uncertainty_distill import evaluation
metrics = ud.measure({_PROBS}, [0, 1])
results, _ = evaluation.read_json({str(_STUDENT / 'results.json')!r})
model = ud.load({str(_SAVED_MODEL)!r})
labels = np.arange(9) % 3
np.savez({str(tmp_path / 'a.npz')!r}, train_images=np.zeros([9, 4, 4, 3], 'u1'),
         train_labels=labels, test_images=np.zeros([9, 4, 4, 3], 'u1'),
         test_labels=labels)
assert len(ud.load_dataset({str(tmp_path / 'a.npz')!r}).images) == 9
images = np.arange(2 * np.prod(model.image_shape)) % 251
images = images.reshape([2, *model.image_shape]).astype(np.uint8)
probs = model.predict(images).probabilities
print(json.dumps([metrics, len(results), probs.tolist()]))
""",
  )
  metrics, num_results, probs = found
  assert metrics == ud.measure(_PROBS, [0, 1])
  assert num_results == len(
    json.loads((_STUDENT / 'results.json').read_text())['results']
  )
  model = ud.load(_SAVED_MODEL)
  images = np.arange(2 * np.prod(model.image_shape)) % 251
  images = images.reshape([2, *model.image_shape]).astype(np.uint8)
  wanted = model.predict(images).probabilities
  np.testing.assert_allclose(probs, wanted, atol=1e-6)


def test_corrupting_needs_opencv_but_no_tensorflow():
  images = np.arange(2 * 16 * 16 * 3).reshape([2, 16, 16, 3]).astype(np.uint8)
  found = _run_without(
    [*_MISSING, 'tensorflow', 'tf_keras'],
    """
images = np.arange(2 * 16 * 16 * 3).reshape([2, 16, 16, 3]).astype(np.uint8)
print(json.dumps(ud.corrupt(images, 'frost', 3).tolist()))
""",
  )
  np.testing.assert_array_equal(found, ud.corrupt(images, 'frost', 3))


def test_what_needs_more_names_the_first_module_in_one_line():
  missing = [*_MISSING, 'cv2']
  calls = [
    "ud.corrupt(np.zeros([1, 16, 16, 3], np.uint8), 'fog', 1)",
    f'ud.load({str(_STUDENT)!r})',
    "ud.experiment('digits_wrn10_1')",
    "ud.evaluate('student')",
    "ud.export('student', 'served')",
  ]
  errors = _run_without(
    missing,
    f"""
errors = []
for call in {calls}:
  try:
    eval(call)
  except ModuleNotFoundError as error:
    errors.append([error.name, str(error)])
print(json.dumps(errors))
""",
  )
  assert len(errors) == len(calls) and errors[0][0] == 'cv2'
  for name, line in errors:
    assert name.partition('.')[0] in missing
    assert name in line and 'uncertainty_distill.' in line
    assert len(line.splitlines()) == 1


def _declared():
  """Returns the main requirements in setup.py, and those of all extras."""
  values = {
    statement.targets[0].id: statement.value
    for statement in ast.parse((running.ROOT / 'setup.py').read_text()).body
    if isinstance(statement, ast.Assign)
    and isinstance(statement.targets[0], ast.Name)
  }
  libtpu = ast.literal_eval(values['_LIBTPU'])
  extras = eval(ast.unparse(values['_EXTRAS']), {'_LIBTPU': libtpu})
  return ast.literal_eval(values['_REQUIRES']), sum(extras.values(), [])


def test_the_docs_say_what_each_dependency_is_for():
  page = pathlib.Path(running.ROOT / 'docs/reference/dependencies.md')
  text = page.read_text()
  required, extra = (
    {re.match(r'[\w.-]+', line)[0] for line in lines} for lines in _declared()
  )
  table = text.split('## What each')[1].split('\n\n')
  rows = re.findall(r'^\| ([\w.-]+) \|', '\n'.join(table), re.M)
  assert set(rows) - {'Package'} == required
  assert all(name in text for name in extra)
