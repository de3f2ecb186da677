"""Tests of the pictures of a corrupted test image."""

from uncertainty_distill.data import corrupted_sets, corruptions
from uncertainty_distill.reports import corrupted_image, html_page

import html_reader
import numpy as np
import tiny_dataset

_TYPES = corruptions.Corruption.CONTRAST, corruptions.Corruption.FOG


def _find(severities=(1, 5)):
  dataset = tiny_dataset.make()
  shifts = [corruptions.CLEAN, *corruptions.shifts(_TYPES, severities)]
  return dataset, corrupted_image.find(
    corrupted_sets.FormulaSet(dataset, seed=3), shifts
  )


def test_it_is_the_first_image_under_every_shift():
  dataset, found = _find()
  first, place = dataset.images[:1], np.zeros(1, int)
  np.testing.assert_array_equal(found.images[:1], first)
  for index, (kind, severity) in enumerate(
    zip(found.types[1:], found.severities[1:])
  ):
    shift = corruptions.Shift(corruptions.Corruption(kind), int(severity))
    np.testing.assert_array_equal(
      found.images[index + 1 : index + 2],
      corruptions.corrupt(first, shift, 3, place),
    )
  pairs = set(zip(found.types.tolist(), found.severities.tolist()))
  assert pairs == {
    ('', 0),
    ('contrast', 1),
    ('contrast', 5),
    ('fog', 1),
    ('fog', 5),
  }


def test_pictures_name_types_and_severities(tmp_path):
  _, found = _find()
  sections = corrupted_image.sections(found, str(tmp_path))
  (tmp_path / 'a.md').write_text('# A\n\n' + '\n\n'.join(sections))
  got = html_reader.read(html_page.write_page(tmp_path, 'a.html', {'a.md': ''}))
  assert list(got.pictures) == [
    'Contrast of severity 1, 5',
    'Fog of severity 1, 5',
  ]
  for picture in got.pictures.values():
    assert picture.std() > 10
  assert got.headings[1][1] == 'What the corruptions look like'


def test_without_corruptions_there_is_nothing_to_show(tmp_path):
  _, found = _find(severities=())
  assert found.types.tolist() == ['']
  assert corrupted_image.sections(found, str(tmp_path)) == []
  assert not list(tmp_path.iterdir())
