"""Reads an HTML page as a browser would, with Python's own parser."""

import base64
import io
from html import parser

import numpy as np
from PIL import Image

_VOID = {'meta', 'img', 'br', 'hr'}
_LOADING = ('src', 'href', 'srcset', 'data', 'poster', 'action', 'background')


class Page(parser.HTMLParser):
  """A page whose tags are balanced and that needs no other files.

  Attributes:
    tags: (tag, attributes), in order.
    headings: (level, text), in order.
    tables: Lists of rows, which are lists of cells' texts.
    bold: The texts of the cells that are set in bold.
    pictures: The pixels of each picture, by its alternative text.
    links: The target of each link, by its text.
    text: All text that a reader sees.
  """

  def __init__(self, content):
    super().__init__(convert_charrefs=True)
    self.tags, self.headings, self.tables, self.bold = [], [], [], []
    self.pictures, self.links, self.text = {}, {}, ''
    self._open = []
    self.feed(content)
    self.close()
    assert not self._open, f'never closed: {self._open}'
    names = {attributes.get('id') for _, attributes in self.tags}
    assert all(link.removeprefix('#') in names for link in self.links.values())

  def handle_starttag(self, tag, attrs):
    attributes = dict(attrs)
    assert len(attributes) == len(attrs), f'twice in {tag}: {attrs}'
    self.tags.append((tag, attributes))
    assert tag not in ('script', 'link', 'iframe', 'object', 'base', 'form')
    assert not any(name.startswith('on') for name in attributes)
    for name in set(_LOADING) & set(attributes):
      assert attributes[name].startswith(('data:image/png;base64,', '#'))
    if tag == 'img':
      content = base64.b64decode(attributes['src'].split(',')[1], validate=True)
      picture = np.array(Image.open(io.BytesIO(content)).convert('RGB'))
      assert picture.shape[:2] == (
        int(attributes['height']),
        int(attributes['width']),
      )
      self.pictures[attributes['alt']] = picture
    if tag == 'table':
      self.tables.append([])
    elif tag == 'tr':
      self.tables[-1].append([])
    elif tag in ('td', 'th'):
      self.tables[-1][-1].append('')
    elif tag in ('h1', 'h2', 'h3', 'h4'):
      self.headings.append((int(tag[1]), ''))
    if tag not in _VOID:
      self._open.append((tag, attributes))

  def handle_endtag(self, tag):
    assert self._open and self._open[-1][0] == tag, f'{tag} in {self._open}'
    self._open.pop()

  def handle_data(self, data):
    tags = [tag for tag, _ in self._open]
    if 'style' in tags:
      assert 'url(' not in data and '@import' not in data
      return
    self.text += data
    if {'td', 'th'} & set(tags):
      self.tables[-1][-1][-1] += data
      if 'strong' in tags:
        self.bold.append(data)
    if {'h1', 'h2', 'h3', 'h4'} & set(tags):
      level, text = self.headings[-1]
      self.headings[-1] = level, text + data
    if 'a' in tags:
      self.links[data] = self._open[-1][1]['href']


def read(path):
  """Reads the page in a file."""
  with open(path, encoding='utf-8') as file:
    return Page(file.read())
