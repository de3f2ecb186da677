"""Tests of what the commands say about damaged or unfit input files."""

import shutil

from uncertainty_distill.data import digits

import numpy as np
import running
import yaml


def _copy_run(student, target):
  """Copies the files that a run needs to be loaded."""
  target.mkdir()
  for path in student.iterdir():
    if path.name in ('params.yaml', 'checkpoint') or path.suffix == '.index':
      shutil.copy(path, target)
    elif '.data-' in path.name:
      shutil.copy(path, target)
  return target


def _cut(path):
  content = path.read_bytes()
  path.write_bytes(content[: len(content) // 2])


def _runs(student, tmp):
  """Makes damaged run folders; returns their names."""
  cut = _copy_run(student, tmp / 'run_cut')
  _cut(next(cut.glob('*.data-*')))
  no_index = _copy_run(student, tmp / 'run_no_index')
  next(no_index.glob('*.index')).unlink()
  cut_params = _copy_run(student, tmp / 'run_cut_params')
  (cut_params / 'params.yaml').write_bytes(b'task: {model: ')
  typo = _copy_run(student, tmp / 'run_typo')
  text = (typo / 'params.yaml').read_text()
  (typo / 'params.yaml').write_text(text.replace('width:', 'widht:'))
  wide = _copy_run(student, tmp / 'run_wide')
  values = yaml.safe_load(text)
  values['task']['model']['width'] = 2
  (wide / 'params.yaml').write_text(yaml.safe_dump(values))
  (tmp / 'run_empty').mkdir()
  return [
    'run_cut',
    'run_no_index',
    'run_cut_params',
    'run_typo',
    'run_wide',
    'run_empty',
    'run_none',
  ]


def _saved_models(student, tmp):
  """Makes damaged SavedModels; returns their names."""
  for name in 'saved_cut', 'saved_bare', 'saved_text':
    shutil.copytree(student / 'saved_model', tmp / name)
  _cut(tmp / 'saved_cut' / 'saved_model.pb')
  shutil.rmtree(tmp / 'saved_bare' / 'variables')
  (tmp / 'saved_text' / 'saved_model.pb').write_text('no protocol buffer')
  return ['saved_cut', 'saved_bare', 'saved_text']


def _predictions(tmp):
  """Writes unfit predictions; returns their names."""
  _, labels = digits.read('train')
  probs = np.eye(10, dtype=np.float32)[labels]
  logits = np.where(probs > 0, 5, 0).astype(np.float32)
  bad = logits.copy()
  bad[3, 2] = np.nan
  (tmp / 'text.npz').write_text('no archive')
  arrays = {
    'unnamed': {'arr_0': logits},
    'pickled': {'train_logits': np.array([{'a': 1}], dtype=object)},
    'few': {'train_logits': logits[:9]},
    'classes': {'train_logits': logits[:, :9]},
    'nan': {'train_logits': bad},
    'order': {'train_logits': logits, 'train_labels': labels[::-1]},
    'sums': {'train_probs': probs * 0.9},
    'words': {'train_logits': logits.astype(str)},
  }
  for name, of_file in arrays.items():
    np.savez(tmp / f'{name}.npz', **of_file)
  return [*arrays, 'text', 'missing']


def _corrupted_folders(tmp):
  """Writes unfit corrupted test sets; returns the file at fault in each."""
  images, labels = digits.read('test')
  whole = np.tile(images, (5, 1, 1, 1))
  for name in 'c_none', 'c_few', 'c_cut', 'c_float', 'c_labels', 'c_pickle':
    (tmp / name).mkdir()
    np.save(tmp / name / 'contrast.npy', whole)
    np.save(tmp / name / 'labels.npy', np.tile(labels, 5))
  (tmp / 'c_none' / 'contrast.npy').unlink()
  np.save(tmp / 'c_few' / 'contrast.npy', whole[:-1])
  _cut(tmp / 'c_cut' / 'contrast.npy')
  np.save(tmp / 'c_float' / 'contrast.npy', whole[:5].astype(np.float32))
  np.save(tmp / 'c_labels' / 'labels.npy', np.tile(labels[::-1], 5))
  with open(tmp / 'c_pickle' / 'contrast.npy', 'wb') as file:
    np.save(file, np.array([{}], dtype=object), allow_pickle=True)
  return {
    'c_none': 'contrast.npy',
    'c_few': 'contrast.npy',
    'c_cut': 'contrast.npy',
    'c_float': 'contrast.npy',
    'c_labels': 'labels.npy',
    'c_pickle': 'contrast.npy',
    'c_missing': '',
  }


def _datasets(tmp):
  """Writes what `make_corrupted` cannot use; returns the files' names."""
  images, labels = digits.read('test')
  np.savez(tmp / 'd_images.npz', images=images)
  np.savez(tmp / 'd_floats.npz', images=images / 255.0, labels=labels)
  np.savez(tmp / 'd_lengths.npz', images=images, labels=labels[:5])
  (tmp / 'd_text.npz').write_text('no archive')
  return ['d_images', 'd_floats', 'd_lengths', 'd_text', 'd_missing']


def _calls(student, places):
  """Returns the names to be said and the words of the call for each file."""
  tmp, new, calls = places['tmp'], f'--output_dir={places["new"]}', {}
  for name in _runs(student, tmp):
    path = str(tmp / name)
    calls[name] = path, ['evaluate', f'--run={path}', new]
  for name in _saved_models(student, tmp):
    path = str(tmp / name)
    calls[name] = path, ['predict', f'--model={path}', 'a.png']
    calls[f'{name} as a teacher'] = path, _distill(places, path)
  for name in _predictions(tmp):
    file = f'{name}.npz'
    calls[name] = file, _distill(places, tmp / file)
  for name, file in _corrupted_folders(tmp).items():
    calls[name] = (
      f'{tmp / name} {file}',
      [
        'evaluate',
        f'--run={student}',
        new,
        '--params_override=evaluation.corruptions=[contrast],'
        f'evaluation.source={tmp / name},'
        'task.validation_data.num_examples=1000',
      ],
    )
  for name in _datasets(tmp):
    file = f'{name}.npz'
    calls[name] = file, ['make_corrupted', f'--dataset={tmp / file}', new]
  calls['files from elsewhere'] = (
    f'{tmp / "c_few"} contrast.npy',
    ['make_corrupted', '--dataset=digits', f'--output_dir={tmp / "c_few"}'],
  )
  calls['cache'] = (
    'report.md',
    _distill(
      places, places['members'], f'--teacher_cache={student / "report.md"}'
    ),
  )
  return calls


def _distill(places, teacher, *more):
  return [
    'distill',
    '--experiment=digits_wrn10_1',
    f'--teacher={teacher}',
    f'--model_dir={places["new"]}',
    '--objective=knowledge',
    '--mode=train',
    # Without augmentation, which stored predictions cannot follow.
    f'--params_override={places["short"]},task.train_data.crop_padding=0,'
    'task.train_data.horizontal_flip=false',
    *more,
  ]


def test_each_unfit_file_is_named_in_one_line(student, places):
  calls = _calls(student[0], places)
  running.check_mistakes(calls, [student[0], places['tmp']])
