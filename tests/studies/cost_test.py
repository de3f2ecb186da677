"""Tests of the estimated cost of a study."""

import dataclasses

from uncertainty_distill import configs, models, studies
from uncertainty_distill.studies import cost, speed

import pytest
import tf_keras
import tiny_networks
import tiny_study


def test_estimate_counts_what_is_left(done, tmp_path, monkeypatch):
  monkeypatch.setattr(speed, '_MEASURED_FLOPS', 1e8)
  study, outcome, _ = done
  rows = {c.label: c for c in cost.costs(study, outcome.directory)}
  assert {k: (c.runs, c.complete, c.flops_left) for k, c in rows.items()} == {
    'deep_ensemble': (2, 2, 0),
    'single_network': (2, 2, 0),
    'head_student': (2, 2, 0),
  }
  image = models.forward_flops(
    tiny_networks.build(
      image_shape=(16, 16, 3),
      num_classes=10,
      depth=10,
      width=1,
      mean=(0.5,),
      stddev=(0.5,),
    )
  )
  # Three steps of 64 images; a backward pass costs two forward passes.
  member = 3 * 64 * 3 * image
  new = {c.label: c for c in cost.costs(study, str(tmp_path / 'none'))}
  assert new['deep_ensemble'].flops_left == 2 * member
  assert new['single_network'].flops_left == 2 * member
  # Two members of a student learn from two members of a teacher.
  assert new['head_student'].flops_left == 2 * 3 * 64 * (2 * 3 + 2) * image
  # Three sets of 70 images; the teacher's two members, two networks, and two
  # students of two members.
  assert cost.evaluation_flops(study) == 3 * 70 * (2 + 2 + 4) * image
  merging = dataclasses.replace(study, merged={'merged': 'head_student'})
  assert cost.evaluation_flops(merging) == 3 * 70 * (2 + 2 + 4 + 2) * image
  # A part without the student has nothing to merge.
  part = merging.select(['single_network'])
  assert cost.evaluation_flops(part) == 3 * 70 * 2 * image
  text = studies.estimate(study, str(tmp_path / 'none'), tiny_study.cpu())
  # If nothing is left to train, no speed is measured.
  with monkeypatch.context() as patch:
    patch.delattr(cost, 'measure_speed')
    left = studies.estimate(study, outcome.directory, tiny_study.cpu())
  assert ' 6 of 6 |' in left
  assert '| head_student ' in text and ' 0 of 2 |' in text
  # Two members, then two students; the two networks run meanwhile.
  rows, fast = list(new.values()), speed.Speed(member / 100, 0)
  assert cost._makespan(study, rows, fast, 1) == pytest.approx(933, abs=3)
  assert cost._makespan(study, rows, fast, 2) == pytest.approx(467, abs=3)
  assert cost._makespan(study, rows, fast, 9) == pytest.approx(367, abs=3)
  assert not (tmp_path / 'none').exists()


def test_speed_is_that_of_the_precision_trained_in(monkeypatch):
  monkeypatch.setattr(speed, '_MEASURED_FLOPS', 1e7)
  built, build = [], configs.ModelConfig.build

  def keep(config):
    built.append(build(config))
    return built[-1]

  monkeypatch.setattr(configs.ModelConfig, 'build', keep)
  config = configs.load_config(
    'digits_wrn10_1',
    params_override='runtime.mixed_precision_dtype=bfloat16',
  )
  speed.measure_speed(config, tiny_study.cpu())
  assert 'bfloat16' in {layer.compute_dtype for layer in built[-1].layers}
  assert tf_keras.mixed_precision.global_policy().name == 'float32'
