"""Tests of the marks that tell the test images of a folder's results apart."""

import os

from uncertainty_distill import configs, evaluation, training

import numpy as np
import pytest
import tensorflow as tf


def _marks(tmp_path, overrides=''):
  config = configs.load_config('digits_wrn10_1', (), overrides)
  strategy = tf.distribute.OneDeviceStrategy('CPU:0')
  experiment = training.open_experiment(config, strategy)
  return evaluation.ResultCache(str(tmp_path), [], experiment).images


@pytest.mark.parametrize(
  'overrides',
  [
    'task.train_data.classes=[0,1]',
    'task.train_data.image_size=[12,12]',
    'task.train_data.test_from_training=100',
    'task.validation_data.num_examples=50',
    'evaluation.corruptions=[contrast]',
    'evaluation.severities=[2]',
    'evaluation.frost=photographs',
  ],
)
def test_other_images_have_other_marks(tmp_path, overrides):
  assert _marks(tmp_path) != _marks(tmp_path, overrides)


def test_the_marks_of_older_versions_stay(tmp_path):
  overrides = 'evaluation.corruptions=[frost],evaluation.severities=[2]'
  marks = _marks(tmp_path, overrides)
  # Metrics that were added since leave no mark, so older results stay valid.
  assert marks[4] == (
    'figures:accuracy,ece,nll,gibbs_nll,brier,member_accuracy,adaptive_ece,'
    'auroc_misclassification,aurc,auroc_ood,disagreement,pairwise_kl,'
    'mutual_information,masegosa_variance'
  )
  names = [mark.split(':')[0] for mark in marks]
  assert names == [
    'digits',
    'classes',
    'source',
    'out of distribution',
    'figures',
    'clean',
    'frost/2',
  ]


def test_other_files_of_the_same_name_have_other_marks(tmp_path):
  def write(folder, value):
    os.makedirs(tmp_path / folder, exist_ok=True)
    for name in 'contrast', 'fog':
      np.save(tmp_path / folder / name, np.full(5, value))

  for folder in 'a', 'b':
    write(folder, 0)
  text = 'evaluation.corruptions=[contrast],evaluation.source='
  first = _marks(tmp_path, f'{text}{tmp_path}/a')
  assert _marks(tmp_path, f'{text}{tmp_path}/a') == first
  # The same files in another folder have the same content.
  assert _marks(tmp_path, f'{text}{tmp_path}/b')[-1] == first[-1]
  write('a', 1)
  np.save(tmp_path / 'b' / 'fog', np.ones(5))
  assert _marks(tmp_path, f'{text}{tmp_path}/a') != first
  # The changed file belongs to a corruption that is not evaluated.
  assert _marks(tmp_path, f'{text}{tmp_path}/b')[-1] == first[-1]


def test_images_of_the_classes_left_out_have_marks(tmp_path):
  file = str(tmp_path / 'all.npz')
  images = np.arange(6, dtype=np.uint8)[:, None, None, None] + np.zeros(
    [6, 16, 16, 3], np.uint8
  )
  labels = np.arange(6) % 3
  found = []
  for level in 0, 9:
    changed = images + np.uint8(level) * (labels == 2)[:, None, None, None]
    np.savez(
      file,
      train_images=images,
      train_labels=labels,
      test_images=changed,
      test_labels=labels,
    )
    os.utime(file, ns=(1, level))
    found.append(
      _marks(
        tmp_path,
        f'task.train_data.name={file},task.train_data.classes=[0,1],'
        'task.train_data.global_batch_size=4,teacher.global_batch_size=4',
      )
    )
  assert found[0] != found[1]


def test_another_out_of_distribution_file_has_other_marks(tmp_path):
  file = str(tmp_path / 'other.npz')
  images = np.zeros([4, 16, 16, 3], np.uint8)
  labels = np.arange(4) % 2
  found = []
  for level in 0, 9:
    arrays = {'train_images': images, 'train_labels': labels}
    np.savez(file, test_images=images + level, test_labels=labels, **arrays)
    os.utime(file, ns=(1, level))  # The clock may be coarse.
    found.append(_marks(tmp_path, f'evaluation.out_of_distribution={file}'))
  assert found[0] != found[1]
