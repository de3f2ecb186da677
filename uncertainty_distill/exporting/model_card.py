"""The model card, which describes a model, its data, metrics and limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from uncertainty_distill import metrics
from uncertainty_distill.exporting import abstention
from uncertainty_distill.runtime import markup

_METRICS = (
  'accuracy',
  'ece',
  'nll',
  'gibbs_nll',
  'brier',
  'auroc_misclassification',
  'aurc',
  'augrc',
)
_OTHER_PROPORTIONS = {
  'resize': 'they are stretched',
  'crop': 'their largest central part is used',
  'pad': 'they get black borders',
}


@dataclasses.dataclass(frozen=True)
class ModelCard:
  """A model card (Mitchell et al. 2019), written by `to_markdown`.

  Attributes:
    sections: Markdown paragraphs by heading: the model, its data, its teacher.
    class_names: K names.
    metrics: Metrics on the test set by name; metrics on corrupted images are
      named `c_NAME`. Likelihoods are in nats. Empty if the model has not been
      evaluated.
    evaluated_images: Sentences that say which test images were evaluated.
    calibration: The temperature; None if no temperature was fitted.
    abstentions: Thresholds of the entropy; empty if there were no images to
      count on.
    abstention_images: The images that `abstentions` was counted on, in words;
      if there were none, the reason.
    image_fit: How images of another size are fitted to the model's size:
      `resize`, `crop` or `pad`.
    sets: The rule of the prediction sets; None for no prediction sets.
    sets_on_test: The coverage and the mean size of the prediction sets on
      `abstention_images`; None if there are no sets or no images.
    has_served_parts: Whether the model was made from SavedModels.
  """

  sections: Mapping[str, str]
  class_names: Sequence[str]
  metrics: Mapping[str, float]
  evaluated_images: str
  calibration: metrics.Calibration | None
  abstentions: Sequence[abstention.Abstention]
  abstention_images: str
  image_fit: str = 'resize'
  sets: metrics.PredictionSets | None = None
  sets_on_test: tuple[float, float] | None = None
  has_served_parts: bool = False

  def to_markdown(self) -> str:
    """Returns the card as Markdown."""
    sections = {
      **self.sections,
      'Classes': ', '.join(map(markup.escaped, self.class_names)),
      'Temperature': _temperature(self),
      **({'Prediction sets': _sets(self)} if self.sets else {}),
      'Metrics': _metrics(self),
      'Abstaining': _abstaining(self),
      'Limits of use': _limits(self),
    }
    parts = [f'## {heading}\n\n{text}\n' for heading, text in sections.items()]
    return '# Model card\n\n' + '\n'.join(parts)


def _temperature(card: ModelCard) -> str:
  calibration = card.calibration
  if card.has_served_parts:
    before = ' A SavedModel that this one was made from may have its own.'
  else:
    before = ''
  if calibration is None:
    return f"1: the members' logits are served as they are.{before}"
  return (
    f"{calibration.temperature:.3f}, which divides the members' logits "
    'before the mean over members. Fitted on '
    f'{calibration.num_examples} examples: '
    f'{calibration.source}. There the NLL was {calibration.nll_before:.4f} '
    f'nats before and {calibration.nll_after:.4f} after.{before}'
  )


def _sets(card: ModelCard) -> str:
  sets = card.sets
  assert sets
  text = (
    f'Each image gets a set of classes, chosen by {sets.method.upper()}. The '
    f'sets miss the right class for at most {100 * sets.alpha:g}% of images '
    f'that are like the calibration images: {sets.num_examples} examples, '
    f'{sets.source}. There is no such guarantee for other images, including '
    'corrupted ones.'
  )
  if card.sets_on_test:
    coverage, size = card.sets_on_test
    text += (
      f' On {card.abstention_images}, {coverage:.1%} of the sets contain the '
      f'right class, and a set has {size:.2f} classes on average.'
    )
  return text


def _metrics(card: ModelCard) -> str:
  if not card.metrics:
    return 'No evaluation of these weights was found beside them.'
  lines = ['| Metric | Clean | Corrupted |', '|---|--:|--:|']
  for name in _METRICS:
    cells = [card.metrics.get(key) for key in (name, metrics.CORRUPTED + name)]
    if cells != [None, None]:
      shown = ['' if cell is None else f'{cell:.4f}' for cell in cells]
      heading = metrics.METRICS[name].heading
      lines.append(f'| {heading} | {" | ".join(shown)} |')
  text = '\n'.join(lines)
  if card.evaluated_images:
    text += f'\n\n{card.evaluated_images}'
  if card.calibration is not None:
    text += '\n\nThese metrics were computed at temperature 1.'
  return text


def _abstaining(card: ModelCard) -> str:
  if not card.abstentions:
    return f'Not counted: {card.abstention_images}.'
  return (
    f'Counted on {card.abstention_images}. The numbers will differ on other '
    'images: count on your own images before you choose a threshold.\n\n'
    + abstention.as_table(card.abstentions)
  )


def _limits(card: ModelCard) -> str:
  return (
    f'The model knows {len(card.class_names)} classes and always answers with '
    'one of them, whatever the image shows. A high entropy is the only sign '
    'that no class fits, and it is not proof. Images unlike the training '
    'images, including corrupted ones, are classified less accurately, and '
    'with too much confidence. Images of another size are resized; if their '
    f'proportions differ, {_OTHER_PROPORTIONS[card.image_fit]}. The model was '
    'made to study uncertainty: where errors can harm people, a person must '
    'decide.'
  )
