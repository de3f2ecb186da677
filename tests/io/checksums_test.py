"""Tests of JSON that knows its own checksum."""

import json

from uncertainty_distill.io import checksums

import pytest

_CONTENT = {'b': [1, 0.1, 1e-300], 'a': {'c': 'é', 'd': None}, 'e': (1, 2)}


def test_what_was_sealed_is_whole_however_it_is_laid_out():
  sealed = checksums.sealed(_CONTENT)
  assert sealed['b'] == _CONTENT['b']
  for options in {}, {'indent': 3}, {'sort_keys': True, 'ensure_ascii': False}:
    checksums.check(json.loads(json.dumps(sealed, **options)))


@pytest.mark.parametrize(
  'changes',
  [
    {'b': [1, 0.1, 2e-300]},
    {'a': {}},
    {'f': 0},
    {'sha256': ''},
  ],
)
def test_a_change_is_found(changes):
  with pytest.raises(ValueError, match='SHA-256'):
    checksums.check(checksums.sealed(_CONTENT) | changes)


def test_a_checksum_may_be_missing_in_older_files():
  checksums.check(_CONTENT, required=False)
  with pytest.raises(ValueError, match='SHA-256'):
    checksums.check(_CONTENT)
