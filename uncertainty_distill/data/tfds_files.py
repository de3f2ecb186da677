"""Whole splits of TFDS datasets."""

from __future__ import annotations

import os
import urllib.request

import numpy as np
from uncertainty_distill.errors import InputError


def read(
    name: str, split: str, data_dir: str, download: bool = True
) -> tuple[np.ndarray, np.ndarray]:
  """Reads a split in the order of its files.

  Args:
    name: That of the dataset in TFDS.
    split: `train` or `test`.
    data_dir: Where TFDS keeps its datasets; empty for TFDS's own choice.
    download: Whether to download and prepare what is not there.

  Returns:
    Images uint8 [N, H, W, C] and integer labels [N].

  Raises:
    InputError: It is not there, and cannot or may not be downloaded.
  """
  import tensorflow_datasets as tfds  # pylint: disable=g-import-not-at-top

  directory = os.path.expanduser(data_dir) or None
  try:
    builder = tfds.builder(name, data_dir=directory)
    if not builder.is_prepared():
      if not download:
        raise FileNotFoundError('it is not prepared there')
      # TFDS would go on trying for minutes where there is no network.
      for url in builder.url_infos:
        urllib.request.urlopen(url, timeout=10).close()
    builder.download_and_prepare()
    whole = builder.as_dataset(
        split=split,
        batch_size=-1,
        shuffle_files=False,
        as_supervised=True,
        read_config=tfds.ReadConfig(interleave_cycle_length=1),
    )
  except Exception as error:  # Whatever the network or the disk came up with.
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    raise InputError(
        'data_dir',
        data_dir or os.environ.get('TFDS_DATA_DIR', '~/tensorflow_datasets'),
        f'a folder with TFDS {name!r}'
        + (', or a network to download it' if download else ''),
        f'prepare it elsewhere by `tfds build {name}` and copy it here '
        f'({reason[:200]})',
    ) from error
  return whole[0].numpy(), whole[1].numpy()
