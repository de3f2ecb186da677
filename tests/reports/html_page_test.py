"""Tests that the HTML page is one complete file and safe to open."""

from uncertainty_distill.reports import html_page
from uncertainty_distill.runtime import markup

import html_reader
import numpy as np
import pytest
from PIL import Image


def _write(folder, *texts):
  """Writes a page of documents; returns what a reader gets from the page."""
  documents = {}
  for index, text in enumerate(texts):
    (folder / f'part_{index}.md').write_text(text, encoding='utf-8')
    documents[f'part_{index}.md'] = f'Part {index}'
  return html_reader.read(html_page.write_page(folder, 'page.html', documents))


@pytest.fixture(name='folder')
def _folder(tmp_path):
  """A report's folder with pictures; one more picture is outside of it."""
  folder = tmp_path / 'report'
  (folder / 'plots').mkdir(parents=True)
  pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
  for path in (
    folder / 'plots' / 'a b.png',
    folder / 'b.png',
    tmp_path / 'c.png',
  ):
    Image.fromarray(pixels).save(path)
  (folder / 'plots' / 'no.png').write_text('<svg onload="alert(1)">')
  return folder


_FIRST = """\
# Digits & <letters>

| Model | NLL ↓ |
| ----- | ----: |
| A     | **0.1** |

## Second

One [picture](part_1.md), [elsewhere](https://example.org/x), [here](b.png):

![A b](plots/a%20b.png)

### Third

![One](b.png)
![Two & "three"](b.png)

```
train.py --x='<b>'
```
"""


def test_a_page_says_what_the_documents_say(folder):
  got = _write(folder, _FIRST, '# Own\n\n## Sub\n\nText.\n')
  assert got.headings == [
    (1, 'Digits & <letters>'),
    (2, 'Second'),
    (3, 'Third'),
    (2, 'Part 1'),
    (3, 'Sub'),
  ]
  assert got.tables == [[['Model', 'NLL ↓'], ['A', '0.1']]]
  assert got.bold == ['0.1']
  assert list(got.pictures) == ['A b', 'One', 'Two & "three"']
  np.testing.assert_array_equal(
    got.pictures['A b'].ravel(), np.arange(24, dtype=np.uint8)
  )
  assert "train.py --x='<b>'" in got.text and 'Own' not in got.text
  assert 'One picture, elsewhere, here:' in got.text
  assert got.links == {
    'Second': '#part_0-1',
    'Part 1': '#part_1',
    'Sub': '#part_1-1',
    'picture': '#part_1',
  }


def test_how_a_page_is_laid_out(folder):
  tags = _write(folder, _FIRST).tags
  assert ('html', {'lang': 'en'}) in tags
  assert (
    'meta',
    {'name': 'viewport', 'content': 'width=device-width, initial-scale=1'},
  ) in tags
  (policy,) = (a['content'] for t, a in tags if 'http-equiv' in a)
  assert policy.startswith("default-src 'none'; img-src data:;")
  names = [tag for tag, _ in tags]
  # Wide tables scroll in boxes of their own; several pictures share a grid.
  assert tags[names.index('table') - 1][1]['class'] == 'table'
  classes = [a['class'] for t, a in tags if t == 'p' and 'class' in a]
  assert classes == ['picture', 'pictures']


@pytest.mark.parametrize(
  'source',
  [
    'plots/none.png',
    'plots/no.png',
    'https://example.org/a.png',
    '../c.png',
    '//example.org/a.png',
    'plots/../../c.png',
    'file:///etc/hosts',
    'data:image/svg+xml;base64,PHN2Zz4=',
    'plots',
    'plots/%2e%2e/%2e%2e/c.png',
    'ABOVE/c.png',
  ],
)
def test_only_pictures_of_the_folder_are_shown(folder, source):
  source = source.replace('ABOVE', str(folder.parent))
  got = _write(folder, f'# T\n\n![Said of it]({source})\n')
  assert not got.pictures and 'Said of it' in got.text


def test_raw_html_is_shown_as_text(folder):
  text = '<script>alert(1)</script>\n\nIn <img src=x onerror=alert(1)> line'
  got = _write(folder, f'# T\n\n{text}\n\n[a](javascript:alert(1))\n')
  assert '<script>alert(1)</script>' in got.text
  assert '<img src=x onerror=alert(1)>' in got.text
  assert not got.links


@pytest.mark.parametrize(
  'text',
  [
    'a | b',
    '**a** _b_ `c` ~~d~~',
    '![x](b.png)',
    '[x](part_0.md)',
    r'a\b\|c',
    '<b>&amp;</b>',
    '&copy; </title><script>',
    'a_b_c/my_file.npz',
    '$x$ #1 {}',
    '``` x',
    '*',
    '__init__',
  ],
)
def test_escaped_text_is_shown_as_it_is(folder, text):
  escaped = markup.escaped(text)
  got = _write(
    folder,
    f'# {escaped}\n\n| A | B |\n|---|---|\n| {escaped} | 1 |\n\n'
    f'**A**: {escaped}\n\n![{escaped}](b.png)\n',
  )
  assert got.headings == [(1, text)]
  assert got.tables == [[['A', 'B'], [text, '1']]]
  assert f'A: {text}\n' in got.text
  assert list(got.pictures) == [text]


def test_escaped_text_is_one_line():
  assert markup.escaped('a\n# b\t c ') == 'a # b c'


def test_a_code_block_ends_where_its_lines_do(folder):
  lines = ['a', '```', '# b', '````', "<i>'"]
  block = markup.code_block(lines)
  got = _write(folder, f'# T\n\n{block}\n\nAfter\n')
  assert '\n'.join(lines) in got.text and len(got.headings) == 1
  assert [tag for tag, _ in got.tags].count('pre') == 1
