"""A short part of `make chaos`: killed and restarted jobs end the same."""

import importlib
import json
import shutil

import pytest
import running
from tensorflow.core.protobuf import saved_model_pb2


@pytest.fixture(name='load')
def _load(monkeypatch):
  monkeypatch.syspath_prepend(str(running.ROOT / 'benchmarks'))
  monkeypatch.setenv('PYTHONPATH', str(running.ROOT))
  return importlib.import_module


@pytest.mark.slow
def test_distillation_killed_twice(load, untouched, tmp_path):
  chaos = load('chaos_campaign')
  job = load('chaos_jobs').Job(
    (
      'distill.py',
      '--experiment=digits_wrn10_1',
      '--model_dir=out',
      '--objective=head',
      f'--params_override={running.SHORT}',
    )
  )
  whole = tmp_path / 'whole'
  whole.mkdir()
  (whole / 'out').symlink_to(untouched)
  number = len(load('chaos_jobs').marks(job, whole))
  kills = chaos.disturb(
    job, tmp_path, [(number // 3, 0.0), (2 * number // 3, 0.0)]
  )
  assert len(kills) == 2
  # A member was finished by then, and could have been trained twice.
  assert 'teacher/member_0' in kills[1].finished.checkpoints
  found = load('chaos_equality').differences(untouched, tmp_path / 'out')
  # These files name the command that made them, which ran in another folder.
  assert set(found) <= {
    f'{name} differs' for name in ('report.html', 'report.md', 'results.json')
  }
  one, two = (
    json.loads((folder / 'results.json').read_text())['results']
    for folder in (untouched, tmp_path / 'out')
  )
  assert one == two
  assert not [line for kill in kills for line in kill.finished.done_twice()]


@pytest.mark.slow
def test_corrupting_killed_twice(load, tmp_path):
  chaos = load('chaos_campaign')
  job = load('chaos_jobs').Job(
    (
      'make_corrupted.py',
      '--dataset=digits',
      '--output_dir=out',
      '--corruptions=contrast,glass_blur,elastic_transform,saturate',
      '--processes=1',
    )
  )
  alone, killed = tmp_path / 'alone', tmp_path / 'killed'
  for folder in (alone, killed):
    folder.mkdir()
  chaos.finish(job.words, alone)
  number = len(load('chaos_jobs').marks(job, alone))
  kills = chaos.disturb(job, killed, [(1, 0.0), (number // 2, 0.0)])
  assert len(kills) == 2
  assert not load('chaos_equality').differences(alone / 'out', killed / 'out')
  assert not [line for kill in kills for line in kill.finished.done_twice()]


def test_the_comparison_sees_a_difference(load, student, tmp_path):
  equality = load('chaos_equality')
  copy = tmp_path / 'copy'
  shutil.copytree(student[0], copy)
  finished = equality.Finished(copy)
  assert not equality.differences(student[0], copy)
  member = copy / 'teacher' / 'member_0'
  # The copy gets another member's weights and loses an event file.
  for path in (copy / 'teacher' / 'member_1').glob('ckpt-*'):
    shutil.copyfile(path, member / path.name)
  shutil.rmtree(copy / 'clean')
  (copy / 'report.md').write_text('')
  # The weights of a SavedModel are constants of its graph.
  served = copy / 'saved_model' / 'saved_model.pb'
  model = saved_model_pb2.SavedModel.FromString(served.read_bytes())
  tensors = [
    node.attr['value'].tensor
    for function in model.meta_graphs[0].graph_def.library.function
    for node in function.node_def
    if node.op == 'Const'
  ]
  largest = max(tensors, key=lambda tensor: len(tensor.tensor_content))
  largest.tensor_content = bytes(len(largest.tensor_content))
  served.write_bytes(model.SerializeToString())
  (copy / 'more').write_text('')
  assert sorted(equality.differences(student[0], copy)) == [
    'clean: the curves differ',
    'more is in one only',
    'report.md differs',
    'saved_model/saved_model.pb differs',
    'teacher/member_0/ckpt-4.index differs',
  ]
  assert finished.done_twice() == [
    'teacher/member_0/ckpt-4.index was written twice'
  ]
  with open(member / 'train.log', 'a', encoding='utf-8') as log:
    log.write('train | step:      4 | steps/sec:    1.0 |\n')
  assert len(finished.done_twice()) == 2


@pytest.mark.slow
@pytest.mark.parametrize('name', ['trainer', 'teacher_cache'])
def test_jobs_of_the_campaign_run_undisturbed(load, name, tmp_path):
  job, chaos = load('chaos_jobs').JOBS[name], load('chaos_campaign')
  for words in filter(None, (job.before, job.words)):
    chaos.finish(words, tmp_path)
  assert load('chaos_jobs').marks(job, tmp_path)
