"""The table of all metrics: what each metric is, and how it is shown.

Results, tables, plots, TensorBoard and the model card read this table. The
entry of a metric on clean images (`nll`) also describes the metric on corrupted
images (`c_nll`).
"""

from __future__ import annotations

import dataclasses

CORRUPTED = 'c_'


@dataclasses.dataclass(frozen=True)
class MetricSpec:
  """The description of a metric.

  Attributes:
    name: The key in results: `nll`, or `c_nll` on corrupted images.
    heading: The name for readers.
    description: What the metric measures, as a noun phrase.
    section: The section of TensorBoard that shows the metric.
    higher_is_better: Whether higher values are better; None if neither high nor
      low values are better.
    scale: The factor by which tables multiply the values.
    log_scale: Whether axes are logarithmic, for positive values that vary by
      orders of magnitude between corruptions.
    required: Whether every result has the metric, even one of an older version.
  """

  name: str
  heading: str
  description: str
  section: str
  higher_is_better: bool | None = False
  scale: int = 1
  log_scale: bool = False
  required: bool = False

  @property
  def column(self) -> str:
    """The heading in a table, with an arrow toward the better values."""
    scale = ' × 10³' if self.scale == 1000 else ''
    arrow = {True: ' ↑', False: ' ↓', None: ''}[self.higher_is_better]
    return f'{self.heading}{scale}{arrow}'


# Out-of-distribution images, told apart by scores other than the entropy.
_OOD_SPECS = tuple(
  MetricSpec(
    f'{name}_ood_{score.replace(" ", "_")}',
    f'{name.upper()} OOD, {score}',
    f'{name.upper()} OOD with the {in_words} in place of the entropy',
    'uncertainty',
    higher_is_better=name != 'fpr95',
  )
  for score, in_words in (
    ('confidence', 'lack of confidence'),
    ('mutual information', 'mutual information'),
  )
  for name in ('auroc', 'aupr', 'fpr95')
)

_SPECS = (
  MetricSpec(
    'accuracy',
    'Accuracy',
    'the share of images whose right class has the highest mean of the '
    "members' probabilities",
    'quality',
    higher_is_better=True,
    required=True,
  ),
  MetricSpec(
    'ece',
    'ECE',
    'expected calibration error, the distance between confidence and accuracy '
    'in 15 equal-width bins of confidence, weighted by the images in each',
    'calibration',
    required=True,
  ),
  MetricSpec(
    'nll',
    'NLL',
    "negative log-likelihood of the mean of the members' probabilities, in "
    'nats per image',
    'quality',
    log_scale=True,
    required=True,
  ),
  MetricSpec(
    'gibbs_nll',
    'Gibbs NLL',
    "the mean of the members' own negative log-likelihoods",
    'quality',
    required=True,
  ),
  MetricSpec(
    'brier',
    'Brier',
    'the squared distance between the probabilities and the one-hot label, '
    'per image',
    'quality',
    required=True,
  ),
  MetricSpec(
    'member_accuracy',
    'Member accuracy',
    "the mean of the members' own accuracies",
    'quality',
    higher_is_better=True,
    required=True,
  ),
  MetricSpec(
    'adaptive_ece',
    'Adaptive ECE',
    'like ECE, but over 15 bins that have equally many images',
    'calibration',
  ),
  MetricSpec(
    'auroc_misclassification',
    'AUROC errors',
    'the probability that a correctly classified image gets a higher '
    'confidence than a wrongly classified one; a set of images without errors '
    'has no such value and is left out of means',
    'uncertainty',
    higher_is_better=True,
  ),
  MetricSpec(
    'aurc',
    'AURC',
    'area under the risk-coverage curve: the share of errors among the k images'
    ' that the model is surest of, averaged over all k',
    'uncertainty',
    scale=1000,
  ),
  MetricSpec(
    'auroc_ood',
    'AUROC OOD',
    'the probability that an image of none of the classes gets a higher'
    ' predictive entropy than a clean test image',
    'uncertainty',
    higher_is_better=True,
  ),
  MetricSpec(
    'disagreement',
    'Disagreement',
    'the share of pairs of members whose most probable classes differ',
    'diversity',
    higher_is_better=None,
  ),
  MetricSpec(
    'pairwise_kl',
    'Pairwise KL',
    "mean Kullback-Leibler divergence between two members' probabilities, in"
    ' nats',
    'diversity',
    higher_is_better=None,
  ),
  MetricSpec(
    'mutual_information',
    'Mutual information',
    "entropy of the mean of the members' probabilities minus the mean of their"
    ' entropies, in nats',
    'diversity',
    higher_is_better=None,
  ),
  MetricSpec(
    'masegosa_variance',
    'Variance',
    "variance of the members' probabilities of the right class, divided by "
    'twice the square of the largest of these probabilities; by the '
    'second-order bound of Masegosa (2019), NLL is below Gibbs NLL by at '
    'least this much',
    'diversity',
    higher_is_better=None,
    scale=1000,
  ),
  MetricSpec(
    'temperature',
    'Temperature',
    'the temperature that gives the lowest NLL on training images that were '
    'not trained on (Guo et al. 2017)',
    'calibration',
    higher_is_better=None,
  ),
  MetricSpec(
    'scaled_nll',
    'Scaled NLL',
    "NLL after each member's logits were divided by that temperature",
    'calibration',
    log_scale=True,
  ),
  MetricSpec(
    'coverage',
    'Coverage',
    'the share of images whose prediction set contains the right class; the '
    'sets are calibrated on training images that were not trained on',
    'uncertainty',
    higher_is_better=None,
  ),
  MetricSpec(
    'set_size',
    'Set size',
    'the mean number of classes in a prediction set',
    'uncertainty',
  ),
  MetricSpec(
    'overconfidence',
    'Overconfidence',
    'the part of the ECE in bins whose confidence is above their accuracy',
    'calibration',
  ),
  MetricSpec(
    'underconfidence',
    'Underconfidence',
    'the part of the ECE in bins whose accuracy is above their confidence',
    'calibration',
  ),
  MetricSpec(
    'classwise_ece',
    'Classwise ECE',
    "the distance between each class's probability and its frequency in 15 "
    'equal-width bins of the probability, weighted by the images in each, '
    'averaged over the classes (Nixon et al. 2019)',
    'calibration',
    scale=1000,
  ),
  MetricSpec(
    'augrc',
    'AUGRC',
    'area under the generalized risk-coverage curve: the share of all images '
    'that are both classified wrongly and among the k that the model is '
    'surest of, averaged over all k (Traub et al. 2024)',
    'uncertainty',
    scale=1000,
  ),
  MetricSpec(
    'risk_at_80',
    'Risk at 80%',
    'the share of errors among the 80% of images that the model is surest of',
    'uncertainty',
  ),
  MetricSpec(
    'coverage_at_5',
    'Coverage at 5% risk',
    'the largest share of images, taken in the order of confidence, of which '
    'at most 5% are classified wrongly',
    'uncertainty',
    higher_is_better=True,
  ),
  MetricSpec(
    'aupr_ood',
    'AUPR OOD',
    'the average precision of detecting images of none of the classes among '
    'clean test images by their higher predictive entropy',
    'uncertainty',
    higher_is_better=True,
  ),
  MetricSpec(
    'fpr95_ood',
    'FPR95 OOD',
    'the share of clean test images whose predictive entropy reaches the '
    'threshold that 95% of the images of none of the classes reach',
    'uncertainty',
  ),
  *_OOD_SPECS,
)

# All metrics by name, in the order of the columns of `results.csv`.
METRICS = {spec.name: spec for spec in _SPECS}

# The metrics that the paper reports.
PAPER = ('accuracy', 'ece', 'nll')
# The metrics that need a fitted temperature.
TEMPERATURE = ('temperature', 'scaled_nll')
# The metrics that need calibrated prediction sets.
SETS = ('coverage', 'set_size')
# The metrics that follow from a result's bins.
FROM_BINS = ('overconfidence', 'underconfidence')
# The metrics that version 0.2.0 lacks. Its results stay valid without them.
LATER = (
  *FROM_BINS,
  'classwise_ece',
  'augrc',
  'risk_at_80',
  'coverage_at_5',
  'aupr_ood',
  'fpr95_ood',
  *(spec.name for spec in _OOD_SPECS),
)
# How much members differ. Neither high nor low values are better.
DIVERSITY = tuple(s.name for s in _SPECS if s.section == 'diversity')


def metric_spec(name: str) -> MetricSpec:
  """Returns the description of a metric.

  Args:
    name: A key of `METRICS`, with or without `c_` in front.

  Raises:
    KeyError: If the name is unknown.
  """
  if not name.startswith(CORRUPTED):
    return METRICS[name]
  clean = METRICS[name.removeprefix(CORRUPTED)]
  return dataclasses.replace(
    clean,
    name=name,
    heading=f'c-{clean.heading}',
    description=f'{clean.description}; on corrupted test images, the mean over'
    ' types of corruption, then over severities',
  )
