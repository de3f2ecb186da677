"""Tests of reading event files as one run's curves."""

from uncertainty_distill.reports import curves

import pytest
import tensorflow as tf
from tensorboard.compat.proto import event_pb2
from tensorboard.plugins.scalar import summary_v2


def _write(path, points, tag='nll'):
  """Writes an event file of points (time, step, value) in the given order."""
  with tf.io.TFRecordWriter(str(path)) as writer:
    for wall_time, step, value in points:
      writer.write(
        event_pb2.Event(
          wall_time=wall_time,
          step=step,
          summary=summary_v2.scalar_pb(tag, value),
        ).SerializeToString()
      )


def test_scalars_as_tensorflow_writes_them(tmp_path):
  for run in ('.', 'other_run'):
    with tf.summary.create_file_writer(str(tmp_path / run)).as_default():
      for step in (10, 20):
        tf.summary.scalar('loss', 1 / step, step)
        tf.summary.scalar('accuracy', tf.constant(step, tf.float16), step)
      tf.summary.text('config', 'no scalar', 0)
      tf.summary.image('picture', tf.zeros([1, 2, 2, 3]), 10)
  scalars = curves.read_scalars(str(tmp_path))
  assert scalars == {
    'loss': pytest.approx({10: 0.1, 20: 0.05}),
    'accuracy': {10: 10.0, 20: 20.0},
  }


def test_a_resumed_run_goes_on_from_its_checkpoint(tmp_path):
  # The run stopped at step 35 and resumed from step 20 with other steps. The
  # later file comes first by name.
  _write(
    tmp_path / 'b.tfevents',
    [
      (1.0, 10, 1.0),
      (2.0, 20, 2.0),
      (3.0, 30, 3.0),
      (4.0, 35, 3.5),
    ],
  )
  _write(tmp_path / 'a.tfevents', [(5.0, 30, -3.0), (6.0, 40, -4.0)])
  _write(tmp_path / 'c.tfevents', [(2.5, 25, 7.0)], tag='accuracy')
  scalars = curves.read_scalars(str(tmp_path))
  assert list(scalars['nll'].items()) == [
    (10, 1.0),
    (20, 2.0),
    (30, -3.0),
    (40, -4.0),
  ]
  # The resumption drops no points of the other tag.
  assert scalars['accuracy'] == {25: 7.0}


def test_a_record_cut_short_is_left_out(tmp_path):
  path = tmp_path / 'events.tfevents'
  _write(path, [(1.0, 10, 1.0), (2.0, 20, 2.0)])
  path.write_bytes(path.read_bytes()[:-5])
  assert curves.read_scalars(str(tmp_path)) == {'nll': {10: 1.0}}


def test_nothing_to_read(tmp_path):
  (tmp_path / 'notes.txt').write_text('no events')
  assert curves.read_scalars(str(tmp_path)) == {}
  assert curves.read_scalars(str(tmp_path / 'missing')) == {}
