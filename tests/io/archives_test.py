"""Tests that arrays are read, and objects and damaged files are refused."""

import zipfile

from uncertainty_distill.io import archives

import numpy as np
import pytest


def test_reads_arrays_by_name(tmp_path):
  np.savez_compressed(tmp_path / 'a.npz', x=np.arange(3), y=np.array('text'))
  arrays = archives.read_arrays(tmp_path / 'a.npz')
  assert set(arrays) == {'x', 'y'} and arrays['x'].tolist() == [0, 1, 2]


class _Program:
  """An object whose pickle opens a file when it is loaded."""

  def __init__(self, path):
    self._path = path

  def __reduce__(self):
    return open, (self._path, 'w')


def test_runs_no_program(tmp_path):
  victim = tmp_path / 'victim'
  content = np.array([_Program(str(victim))], dtype=object)
  np.savez(tmp_path / 'a.npz', x=content)
  with pytest.raises(ValueError):
    archives.read_arrays(tmp_path / 'a.npz')
  assert not victim.exists()


def test_says_what_is_damaged(tmp_path):
  path = tmp_path / 'a.npz'
  with pytest.raises(FileNotFoundError):
    archives.read_arrays(path)
  np.savez(path, x=np.arange(1000))
  whole = path.read_bytes()
  path.write_bytes(whole[:2000])
  with pytest.raises(ValueError):
    archives.read_arrays(path)
  flipped = bytearray(whole)
  flipped[2000] ^= 1
  path.write_bytes(flipped)
  with pytest.raises(ValueError, match='CRC-32'):
    archives.read_arrays(path)
  # Not damaged: the file says that 2 PB follow.
  with zipfile.ZipFile(path, 'w') as file, file.open('x.npy', 'w') as array:
    header = {'descr': '<f8', 'fortran_order': False, 'shape': (1 << 48,)}
    np.lib.format.write_array_header_1_0(array, header)
  with pytest.raises(ValueError, match='memory'):
    archives.read_arrays(path)
