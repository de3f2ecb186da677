"""Tests of the table of metrics."""

from uncertainty_distill import metrics

import pytest


def test_the_columns_of_metrics():
  columns = {name: metrics.metric_spec(name).column for name in metrics.METRICS}
  assert columns['accuracy'] == 'Accuracy ↑' and columns['nll'] == 'NLL ↓'
  assert columns['aurc'] == 'AURC × 10³ ↓'
  assert columns['masegosa_variance'] == 'Variance × 10³'
  higher = {
    name for name, spec in metrics.METRICS.items() if spec.higher_is_better
  }
  assert higher == {
    'accuracy',
    'member_accuracy',
    'auroc_misclassification',
    'auroc_ood',
    'coverage_at_5',
    'aupr_ood',
    'auroc_ood_confidence',
    'aupr_ood_confidence',
    'auroc_ood_mutual_information',
    'aupr_ood_mutual_information',
  }
  for name in metrics.DIVERSITY:
    assert metrics.METRICS[name].higher_is_better is None


@pytest.mark.parametrize('name', metrics.METRICS)
def test_a_metric_on_corrupted_images_follows_from_that_on_clean_ones(name):
  clean, corrupted = metrics.metric_spec(name), metrics.metric_spec(f'c_{name}')
  assert corrupted.name == f'c_{name}'
  assert corrupted.column == f'c-{clean.column}'
  assert corrupted.description.startswith(clean.description)
  assert corrupted.higher_is_better is clean.higher_is_better
  assert corrupted.scale == clean.scale


def test_an_unknown_metric():
  with pytest.raises(KeyError):
    metrics.metric_spec('c_perplexity')
