"""Opens files of earlier versions; golden/README.md describes the files.

All tests use the public commands and API, on copies.
"""

import collections
import json
import os
import pathlib
import shutil

import uncertainty_distill as ud

import numpy as np
import pytest
import running
import tensorflow as tf
import yaml
from PIL import Image

_GOLDEN = pathlib.Path(__file__).with_name('golden')
# Another processor sums in another order. Without AVX, or without oneDNN, the
# probabilities differ by up to a fiftieth of this tolerance; metrics differ by
# less.
_NEAR = {'rtol': 1e-4, 'atol': 1e-5}
# The tolerance after four more steps of training, as a share of the largest
# number in a tensor. Other processors differ by up to a fifth of the tolerance.
# Without its momentum, a weight's slot would be off by about a half.
_NEAR_AFTER_TRAINING = 5e-3

_VERSIONS = sorted(path.name for path in _GOLDEN.glob('v*'))
# Two training steps, one epoch each, of a student of the golden teacher.
_TWO_STEPS = {
  'trainer.epochs': 2,
  'trainer.train_tf_function': False,
  'trainer.train_tf_while_loop': False,
  'trainer.eval_tf_function': False,
  'task.train_data.global_batch_size': 400,
  'task.model.ensemble_size': 2,
  'task.validation_data.num_examples': 100,
  'task.validation_data.global_batch_size': 100,
  'evaluation.corruptions': [],
}


@pytest.fixture(name='golden', params=_VERSIONS)
def _golden(request, tmp_path):
  """A copy of a version's golden files."""
  return _copy(request.param, tmp_path)


def _copy(version, folder):
  # The times of the files are not copied: a checkout does not keep times.
  return pathlib.Path(
    shutil.copytree(
      _GOLDEN / version, folder / 'golden', copy_function=shutil.copy
    )
  )


def _expected(golden, name='metrics'):
  return json.loads((golden / 'expected' / f'{name}.json').read_text())


def _check_metrics(metrics, expected):
  """Compares the metrics that the version had; there may be more now."""
  known = {name: metrics[name] for name in expected}
  assert known == pytest.approx(expected, rel=1e-4, abs=1e-5)


def _run_again(golden, name, *flags):
  """Runs the command by which a part of the golden files was made."""
  command = _command(golden, name)
  return running.succeed(*command, *flags)


def _command(golden, name):
  commands = json.loads((golden / 'commands.json').read_text())
  return [word.replace('GOLDEN', str(golden)) for word in commands[name]]


def _paths(golden, name):
  """Returns the folder of a model, or the folders of a teacher's members."""
  folder = golden / name
  return sorted(folder.glob('member_*')) or folder


def _open(folder):
  """Opens a complete run by the public API; returns it."""
  params = yaml.safe_load((folder / 'params.yaml').read_text())
  objective = params['task']['objective']
  teacher = [
    os.path.normpath(folder / path) for path in objective.pop('teacher')
  ]
  objective.pop('teacher_cache')
  config = ud.experiment(params['experiment'], params)
  return (
    ud.distill(config, folder, teacher) if teacher else ud.train(config, folder)
  )


def _written(folder, pattern):
  """Returns the content of files, and when the files were written."""
  return {
    path: (path.read_bytes(), path.stat().st_mtime_ns)
    for path in folder.rglob(pattern)
  }


def _tensors(prefix):
  """Returns the numbers in a checkpoint by name."""
  reader = tf.train.load_checkpoint(str(prefix))
  tensors = {
    k: reader.get_tensor(k) for k in reader.get_variable_to_shape_map()
  }
  return {k: v for k, v in tensors.items() if not isinstance(v, bytes)}


def _results(folder):
  return json.loads((folder / 'results.json').read_text())['results']


def test_models_predict_what_they_did(golden):
  images = ud.load_dataset('digits').images
  with np.load(golden / 'expected' / 'predictions.npz') as expected:
    assert {'network', 'student', 'student/teacher'} <= set(expected)
    for name, probs in expected.items():
      answer = ud.load(_paths(golden, name)).predict(images[: probs.shape[1]])
      np.testing.assert_allclose(
        answer.member_probabilities.swapaxes(0, 1),
        probs,
        **_NEAR,
        err_msg=name,
      )


def test_models_have_every_weight_of_their_checkpoints(golden):
  folders = {path.parent for path in golden.rglob('params.yaml')}
  before = _written(golden, 'ckpt-*')
  for folder in folders - {golden / 'stopped'}:
    stored = [
      (value.shape, value.tobytes())
      for key, value in _tensors(folder).items()
      if key.startswith('model/') and '.OPTIMIZER_SLOT' not in key
    ]
    assert len(stored) > 30
    weights = _open(folder).load_model().get_weights()
    loaded = [(value.shape, value.tobytes()) for value in weights]
    assert collections.Counter(loaded) == collections.Counter(stored), folder
  assert _written(golden, 'ckpt-*') == before


@pytest.mark.parametrize(
  'name',
  ['network', 'batch_ensemble', 'student', 'student/teacher', 'searched'],
)
def test_models_are_as_good_as_they_were(golden, name):
  metrics = ud.evaluate(_paths(golden, name))
  _check_metrics(metrics, _expected(golden)[name])


def test_a_finished_student_is_not_trained_again(golden):
  before = _written(golden, 'ckpt-*'), _written(golden, 'view_*.npy')
  _run_again(golden, 'student', '--mode=train')
  assert before == (_written(golden, 'ckpt-*'), _written(golden, 'view_*.npy'))


def test_a_finished_search_is_not_made_again(golden):
  teacher = golden / 'searched' / 'teacher'
  before = _written(golden, 'ckpt-*'), _written(teacher, '*.npz')
  record = json.loads((teacher / 'search.json').read_text())
  _run_again(golden, 'searched', '--mode=train')
  assert before == (_written(golden, 'ckpt-*'), _written(teacher, '*.npz'))
  again = json.loads((teacher / 'search.json').read_text())
  assert again['members'] == record['members']
  params = yaml.safe_load((golden / 'searched' / 'params.yaml').read_text())
  assert params['task']['objective']['teacher'] == [
    f'teacher/{member["folder"]}' for member in record['members']
  ]


def test_another_student_reads_the_teacher_cache(golden, tmp_path):
  (lost,) = golden.glob('teacher_cache/*/view_0001.npy')
  view = np.load(lost)
  lost.unlink()
  before = _written(golden, 'view_*.npy')
  assert len(before) == 1
  config = ud.experiment(
    'digits_wrn10_1',
    {
      **_TWO_STEPS,
      'task.objective.teacher_cache': str(golden / 'teacher_cache'),
    },
  )
  ud.distill(config, tmp_path / 'student', _paths(golden, 'student/teacher'))
  made = _written(golden, 'view_*.npy')
  # The student used the cache of this teacher: the missing view is there again,
  # and the other view was not made anew.
  assert made.keys() == {lost, *before}
  assert before.items() <= made.items()
  # The cache keeps float16, which has a precision of 11 bits.
  np.testing.assert_allclose(np.load(lost), view, rtol=2e-3)


def test_stored_predictions_teach(golden, tmp_path):
  folder = tmp_path / 'student'
  overrides = {**_TWO_STEPS, 'task.train_data.crop_padding': 0}
  running.succeed(
    'distill',
    '--experiment=digits_wrn10_1',
    f'--model_dir={folder}',
    f'--teacher={golden / "predictions.npz"}',
    '--objective=head',
    '--params_override='
    + ','.join(f'{key}={value}' for key, value in overrides.items()),
  )
  results = {r['model']: r['figures'] for r in _results(folder)}
  assert results.keys() == {'deep_ensemble', 'head_student'}
  _check_metrics(results['deep_ensemble'], _expected(golden)['predictions'])
  extra = folder / 'saved_model' / 'assets.extra'
  assert 'stored predictions' in (extra / 'MODEL_CARD.md').read_text()


def test_a_saved_model_serves(golden, tmp_path):
  folder = golden / 'saved_model'
  with np.load(golden / 'expected' / 'predictions.npz') as arrays:
    expected = arrays['saved_model'].swapaxes(0, 1)
  images = ud.load_dataset('digits').images[: len(expected)]
  serve = tf.saved_model.load(str(folder)).signatures['serving_default']
  answer = serve(images=tf.constant(images))
  np.testing.assert_allclose(answer['member_probabilities'], expected, **_NEAR)
  paths = [tmp_path / f'{index:02}.png' for index in range(len(images))]
  for path, image in zip(paths, images):
    Image.fromarray(image).save(path)
  said = running.succeed('predict', f'--model={folder}', '--json', *paths)
  lines = [json.loads(line) for line in said.stdout.splitlines()]
  assert [line['image'] for line in lines] == list(map(str, paths))
  # The command rounds probabilities.
  np.testing.assert_allclose(
    [line['probabilities'] for line in lines], expected.mean(1), atol=1e-4
  )


def test_the_same_temperature_is_fitted(golden, tmp_path):
  fitted = ud.export(
    golden / 'batch_ensemble', tmp_path / 'served', fit_temperature=True
  )
  assert fitted.temperature == pytest.approx(
    _expected(golden)['temperature'], rel=1e-3
  )


def test_a_stopped_run_ends_as_if_it_had_not_been_stopped(golden):
  run = golden / 'stopped'
  before = _tensors(run)
  _run_again(golden, 'stopped', '--mode=train')
  after = _tensors(run)
  with np.load(golden / 'expected' / 'stopped.npz') as expected:
    assert before.keys() == after.keys() == set(expected)
    # The stopped run has saved one more checkpoint.
    for name in set(expected) - {'save_counter/.ATTRIBUTES/VARIABLE_VALUE'}:
      value = expected[name]
      np.testing.assert_allclose(
        after[name],
        value,
        rtol=0,
        atol=_NEAR_AFTER_TRAINING * abs(value).max(),
        err_msg=name,
      )


@pytest.fixture(name='study', scope='module', params=_VERSIONS)
def _study(request, tmp_path_factory):
  """A study that was run again, and its results from before.

  No model has these results, so the study shows them only if it keeps them.
  """
  golden = _copy(request.param, tmp_path_factory.mktemp('study'))
  # By these times, version 0.1.0 knew which weights the results belong to.
  for name, time in _expected(golden, 'times').items():
    os.utime(golden / name, ns=(time, time))
  path = golden / 'study' / 'results.json'
  content = json.loads(path.read_text())
  content.pop('sha256', None)
  for result in content['results']:
    result['figures']['nll'] += 100
  path.write_text(json.dumps(content))
  before = _written(golden, 'ckpt-*')
  _run_again(golden, 'study')
  assert _written(golden, 'ckpt-*') == before
  return golden, content['results']


def test_a_finished_study_is_not_evaluated_again(study):
  golden, results = study
  assert _results(golden / 'study') == results


def test_a_study_is_not_evaluated_again_after_a_checkout(study):
  golden, results = study
  for path in golden.rglob('ckpt-*'):
    os.utime(path)
  _run_again(golden, 'study')
  assert _results(golden / 'study') == results
