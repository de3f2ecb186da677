"""Tests of the public commands, run as a user runs them."""

import json
import re
import shutil

from uncertainty_distill.data import digits

import numpy as np
import pytest
import running
import tensorflow as tf
from PIL import Image


def test_distill_leaves_a_report_and_a_saved_model(student):
  folder, said = student
  assert '1 x CPU' in said and ' 64 ' in said
  assert 'Deep ensemble' in said and 'Head student' in said
  *_, tensorboard, predict, served, report = said.splitlines()
  assert tensorboard.endswith(f'tensorboard --logdir {folder}')
  script = 'baselines/cifar/predict.py'
  assert f' {script} --model={folder}/saved_model ' in predict
  assert served.endswith(f' {folder}/saved_model')
  assert report.endswith(f' {folder}/report.html')
  for name in (
    'report.html',
    'report.md',
    'results.csv',
    'saved_model/saved_model.pb',
  ):
    assert (folder / name).is_file()
  results = json.loads((folder / 'results.json').read_text())['results']
  # Two models on the clean set and on one corrupted set, each example once.
  assert [r['num_examples'] for r in results] == [70] * 4
  assert [r['images'] for r in results] == [
    '',
    'made on the fly by formula, seed 0',
  ] * 2


def test_tensorboard_shows_the_corrupted_figures_and_pictures(student):
  folder, _ = student
  (events,) = (folder / 'corrupted').iterdir()
  tags = {
    value.tag
    for event in tf.compat.v1.train.summary_iterator(str(events))
    for value in event.summary.value
  }
  assert {
    'quality/accuracy',
    'calibration/adaptive_ece',
    'uncertainty/aurc',
    'diversity/disagreement',
    'corruption/heat_map_nll',
  } <= tags
  pictures = {path.stem for path in (folder / 'plots').iterdir()}
  # The picture of clean images is in the event file of the clean results.
  names = {tag.rpartition('/')[2] for tag in tags}
  assert len(pictures) == 9 and pictures - names == {'reliability'}


def test_evaluate_agrees_between_run_folder_and_saved_model(student, tmp_path):
  folder, _ = student
  figures = []
  shutil.copytree(folder / 'saved_model', tmp_path / 'served')
  # The report of a SavedModel lies beside it, where exports leave it alone.
  for path, options, report in (
    (folder, [f'--output_dir={tmp_path / "run"}'], 'run'),
    (tmp_path / 'served', [], 'served_evaluation'),
  ):
    done = running.run(
      'evaluate',
      f'--run={path}',
      *options,
      '--experiment=digits_wrn10_1',
      '--params_override=evaluation.corruptions=[]',
    )
    assert done.returncode == 0, done.stderr
    file = tmp_path / report / 'results.json'
    (result,) = json.loads(file.read_text())['results']
    assert result['num_examples'] == 1000
    figures.append(result['figures'])
  assert figures[0] == pytest.approx(figures[1], rel=1e-4)


def test_export_of_two_runs_is_their_ensemble_and_predict_reads_it(
  student, tmp_path
):
  folder, _ = student
  runs = ','.join(str(folder / 'teacher' / f'member_{i}') for i in range(2))
  served = f'--output_dir={tmp_path / "served"}'
  done = running.run('export', f'--run={runs}', served)
  assert done.returncode == 0, done.stderr
  card = (tmp_path / 'served/assets.extra/MODEL_CARD.md').read_text()
  assert '2 models' in card
  # Their seeds differ.
  assert 'Of the first model: Cross-entropy' in card
  _check_predictions(tmp_path / 'served', tmp_path)


def _check_predictions(model, folder):
  """Predicts one image as a table, and three, one of them broken, as JSON."""
  for name in 'a.png', 'b.png':
    Image.fromarray(np.full([40, 30, 3], 128, np.uint8)).save(folder / name)
  (folder / 'c.png').write_bytes(b'no image')
  done = running.run('predict', f'--model={model}', folder / 'a.png')
  assert done.returncode == 0, done.stderr
  header, row = done.stdout.splitlines()
  assert header.split()[:2] == ['class', 'confidence']
  label, confidence, entropy, *_, path = row.split()
  assert int(label) in range(10) and path == str(folder / 'a.png')
  assert 0.1 <= float(confidence) <= 1 and 0 <= float(entropy) <= np.log(10)
  # TensorFlow's own messages are shown only on request.
  told = running.run_anew(
    'predict', f'--model={model}', folder / 'a.png', '--verbosity=0'
  )
  assert told.stdout == done.stdout
  assert not done.stderr and 'tensorflow/core' in told.stderr
  done = running.run('predict', f'--model={model}', '--json', folder)
  assert done.returncode == 1
  assert [line.split(': ')[:2] for line in done.stderr.splitlines()] == [
    ['error', str(folder / 'c.png')],
    ['error', '1 of 3 images could not be read'],
  ]
  answers = [json.loads(line) for line in done.stdout.splitlines()]
  assert [answer['image'] for answer in answers] == [
    str(folder / 'a.png'),
    str(folder / 'b.png'),
  ]
  assert answers[0]['label'] == int(label)
  assert sum(answers[0]['votes'].values()) == 2


@pytest.mark.slow
def test_export_fits_a_temperature_and_compares_tflite(student, tmp_path):
  folder, _ = student
  images, labels = digits.read('test')
  # Shifted digits, which are neither training nor test images.
  np.savez(tmp_path / 'held.npz', images=np.roll(images, 1, 2), labels=labels)
  np.savez(tmp_path / 'test.npz', images=images[:9], labels=labels[:9])
  export = [
    'export',
    f'--run={folder}',
    f'--output_dir={tmp_path / "served"}',
    '--temperature=fit',
  ]
  refused = running.run(*export, f'--calibration={tmp_path / "test.npz"}')
  assert refused.returncode == 2 and '--calibration' in refused.stderr
  assert str(tmp_path / 'test.npz') in refused.stderr
  assert not (tmp_path / 'served').exists()
  done = running.run(
    *export,
    f'--calibration={tmp_path / "held.npz"}',
    f'--tflite={tmp_path / "m.tflite"}',
    '--conformal=0.1',
  )
  assert done.returncode == 0, done.stderr
  assert 'error' not in done.stderr
  temperature, before, after = map(
    float, re.findall(r'\d\.\d+', done.stdout.splitlines()[0])
  )
  assert 0.05 <= temperature <= 20 and after <= before
  assert done.stdout.splitlines()[1].startswith('Prediction sets: lac at 0.1')
  assert '| TensorFlow Lite |' in done.stdout and '100.0%' in done.stdout
  assert (tmp_path / 'm.tflite').is_file()
  card = (tmp_path / 'served/assets.extra/MODEL_CARD.md').read_text()
  for figure in f'{temperature:.3f}', f'{before:.4f}', f'{after:.4f}':
    assert figure in card
  # The card has the metrics that lie beside the checkpoint of these weights.
  assert '| Accuracy |' in card and ' 70 test images' in card
  assert 'Head distillation' in card and ' 1000 clean' in card


@pytest.mark.slow
def test_students_share_what_their_teacher_says(student, tmp_path):
  folder, _ = student
  cache = tmp_path / 'cache'
  teacher = ','.join(str(folder / 'teacher' / f'member_{i}') for i in (0, 1))
  # Two steps of one epoch each.
  short = running.SHORT.replace('trainer.epochs=0.3', 'trainer.epochs=2')
  short += ',task.train_data.global_batch_size=400'
  distill = [
    'distill',
    '--experiment=digits_wrn10_1',
    f'--teacher={teacher}',
    f'--teacher_cache={cache}',
    '--mode=train',
    f'--params_override={short}',
  ]
  knowledge = [*distill, '--objective=knowledge']
  done = running.run(*knowledge, f'--model_dir={tmp_path / "a"}')
  assert done.returncode == 0, done.stderr
  assert 'teacher cache: 100%' in done.stderr
  # Two epochs have begun; each has 797 digits, two members and ten classes.
  views = sorted(cache.glob('*/view_*.npy'))
  assert [np.load(path).shape for path in views] == [(797, 2, 10)] * 2
  head = [*distill, '--objective=head']
  written = [path.stat().st_mtime_ns for path in views]
  done = running.run(*head, '--seed=1', f'--model_dir={tmp_path / "b"}')
  assert done.returncode == 0, done.stderr
  assert 'teacher cache' not in done.stderr
  assert [path.stat().st_mtime_ns for path in views] == written


def test_a_batch_ensemble_starts_from_its_teacher(student, tmp_path):
  folder, _ = student
  teacher = ','.join(str(folder / 'teacher' / f'member_{i}') for i in (0, 1))
  done = running.run(
    'reconstruct',
    f'--teacher={teacher}',
    f'--output_dir={tmp_path / "r"}',
    '--ranks=1,2',
    '--aligned',
  )
  assert done.returncode == 0, done.stderr
  lines = done.stdout.strip().splitlines()
  assert lines[-1].endswith(str(tmp_path / 'r' / 'reconstruction.html'))
  assert lines[0].startswith('| Layer ') and 'All layers' in lines[-3]
  assert '20/20' in done.stderr
  done = running.run(
    'train',
    '--experiment=digits_wrn10_1',
    f'--model_dir={tmp_path / "b"}',
    '--mode=train',
    f'--params_override={running.SHORT},'
    f'task.initialize_from=[{teacher}],task.initialize_aligned=true',
  )
  assert done.returncode == 0, done.stderr
  assert '10/10' in done.stderr
  assert (tmp_path / 'b' / 'saved_model' / 'saved_model.pb').is_file()
