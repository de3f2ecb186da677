r"""Writes a corrupted test set to files, in the layout of CIFAR-10-C.

  python baselines/cifar/make_corrupted.py --dataset=cifar100 \
      --output_dir=data/cifar100_c
"""

from uncertainty_distill.runtime import signals

if __name__ == '__main__':
  # Comes first, since the next imports take a second.
  signals.install()

from uncertainty_distill import data, ranges
from uncertainty_distill.data import corrupted_sets, corruptions

from absl import flags

_DATASET = flags.DEFINE_string(
  'dataset',
  None,
  'cifar10, cifar100, digits, tfds:NAME, or the path of an .npz file or of a '
  'folder of pictures.',
)
_IMAGE_SIZE = flags.DEFINE_list(
  'image_size', [], 'The height and width that all images are brought to.'
)
_IMAGE_FIT = flags.DEFINE_enum(
  'image_fit',
  'resize',
  list(ranges.IMAGE_FITS),
  'How pictures in a folder are brought to this size.',
)
_TEST_FRACTION = flags.DEFINE_float(
  'test_fraction',
  0.0,
  'The share of the pictures in a folder of classes to test on.',
)
_OUTPUT_DIR = flags.DEFINE_string(
  'output_dir',
  None,
  'The folder for the files. Running the same command again continues where it '
  'stopped.',
)
_CORRUPTIONS = flags.DEFINE_list(
  'corruptions',
  ['standard'],
  'Names of corruptions, or standard for the 15 standard ones, extra for the '
  'other 4, all for both.',
)
_SEED = flags.DEFINE_integer('seed', 0, 'The seed of the random draws.')
_FROST = flags.DEFINE_string(
  'frost',
  'texture',
  'The pictures of ice that frost lays over images: texture (computed by a '
  'formula) or photographs (the published ones).',
)
_BENCHMARK = flags.DEFINE_enum(
  'benchmark',
  '',
  ['', *ranges.BENCHMARKS],
  'The benchmark whose constants the corruptions use. By default, cifar_c if a '
  'side of the images has fewer than 64 pixels, and imagenet_c otherwise.',
)
_PROCESSES = flags.DEFINE_integer(
  'processes', 0, 'The number of processes. By default, one for each core.'
)
_DATA_DIR = flags.DEFINE_string(
  'data_dir',
  '',
  'The folder that holds the datasets of TFDS. By default, $TFDS_DATA_DIR or '
  'else ~/tensorflow_datasets.',
)


def main():
  name = launch.required(
    'dataset', 'cifar10, cifar100, digits, tfds:NAME, an .npz file or a folder'
  )
  directory = launch.required('output_dir', 'a folder for the files')
  corrupted_sets.write_corrupted_set(
    data.open_dataset(
      name,
      _DATA_DIR.value,
      image_size=launch.integers('image_size'),
      decoding=data.Decoding(_IMAGE_FIT.value, _TEST_FRACTION.value),
    ).test,
    directory,
    corruptions.parse_corruptions(_CORRUPTIONS.value),
    _SEED.value,
    _PROCESSES.value,
    _FROST.value,
    _BENCHMARK.value,
  )
  print(f'Corrupted images: {directory}')


if __name__ == '__main__':
  # `launch` imports TensorFlow. The processes that corrupt images import this
  # module, too, but do not need TensorFlow.
  from uncertainty_distill.baselines.cifar import launch

  launch.run(main)
