"""The names of the known datasets' classes."""

from __future__ import annotations

from collections.abc import Sequence

_NAMES = {
  'cifar10': 'airplane automobile bird cat deer dog frog horse ship truck',
  'cifar100': """
        apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl
        boy bridge bus butterfly camel can castle caterpillar cattle chair
        chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur
        dolphin elephant flatfish forest fox girl hamster house kangaroo
        keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
        motorcycle mountain mouse mushroom oak_tree orange orchid otter
        palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum
        rabbit raccoon ray road rocket rose sea seal shark shrew skunk
        skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper
        table tank telephone television tiger tractor train trout tulip turtle
        wardrobe whale willow_tree wolf woman worm
    """,
  'digits': '0 1 2 3 4 5 6 7 8 9',
}


def class_names(
  dataset: str, num_classes: int, classes: Sequence[int] = ()
) -> tuple[str, ...]:
  """Returns the names of a model's classes, in the order of its labels.

  Args:
    dataset: Its name; the names of cifar10, cifar100 and digits are known.
    num_classes: K of the model.
    classes: Those of the dataset that the model knows; () for all.

  Returns:
    K names; where they are not known, the labels as text.
  """
  known = _NAMES.get(dataset, '').split()
  names = [known[index] for index in classes] if known and classes else known
  if len(names) != num_classes:
    return tuple(map(str, range(num_classes)))
  return tuple(names)
