"""The descriptions of CIFAR-10 and CIFAR-100; TFDS has their images."""

from __future__ import annotations

from uncertainty_distill.data.image_source import DatasetSpec

NUM_TRAIN = 50_000

_CIFAR10_CLASSES = """
    airplane automobile bird cat deer dog frog horse ship truck
"""
_CIFAR100_CLASSES = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy
    bridge bus butterfly camel can castle caterpillar cattle chair chimpanzee
    clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower
    leopard lion lizard lobster man maple_tree motorcycle mountain mouse
    mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree
    plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea
    seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
    sunflower sweet_pepper table tank telephone television tiger tractor train
    trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""

SPECS = {
  name: DatasetSpec(
    name=name,
    image_shape=(32, 32, 3),
    class_names=tuple(classes.split()),
    mean=(0.4914, 0.4822, 0.4465),
    stddev=(0.2470, 0.2435, 0.2616),
  )
  for name, classes in (
    ('cifar10', _CIFAR10_CLASSES),
    ('cifar100', _CIFAR100_CLASSES),
  )
}
