"""Reports as one HTML file that needs no other file, and can be mailed.

A page is made from existing Markdown documents alone, so that it never
contradicts them. Whatever the documents contain, the page runs no script and
loads nothing: raw HTML is shown as text, pictures are embedded, links lead to
places on the page, and its content security policy forbids the rest.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import os
import struct
from collections.abc import Mapping
from importlib import resources
from urllib import parse

from uncertainty_distill.io import files

import jinja2
import markdown_it
from markdown_it import renderer, token
from markdown_it.common.utils import escapeHtml

REPORT_PAGE = 'report.html'

_PNG = b'\x89PNG\r\n\x1a\n'
# The keyboard scrolls only elements that can have the focus.
_TABLE_BOX = (
  '<div class="table" role="region" aria-label="Table" tabindex="0">\n'
)


@dataclasses.dataclass
class _Heading:
  """A heading, its anchor, and whether the table of contents lists it."""

  tag: str
  id: str
  text: str
  is_listed: bool


@dataclasses.dataclass
class _Document:
  """A document of a page while it is rendered.

  Attributes:
    directory: The folder that holds its pictures.
    anchors: From the names of the page's documents to links to them.
    name: The name of the document, without the extension.
    title: The heading that replaces the document's first one; empty for none.
    headings: The headings so far.
    targets: The targets of the links that are open; None for a link that is
      shown as text.
  """

  directory: str
  anchors: Mapping[str, str]
  name: str
  title: str
  headings: list[_Heading] = dataclasses.field(default_factory=list)
  targets: list[str | None] = dataclasses.field(default_factory=list)


class _Renderer(renderer.RendererHTML):
  """Rules of markdown-it for elements that a page shows in its own way.

  The document is in `env['document']`.
  """

  def heading_open(self, tokens, index, options, env):
    document, opening = env['document'], tokens[index]
    number, is_section = len(document.headings), opening.tag == 'h2'
    if document.title:
      _set_under(document.title, number, tokens[index : index + 3])
    anchor = f'{document.name}-{number}' if number else document.name
    opening.attrSet('id', anchor)
    text = self.renderInlineAsText(tokens[index + 1].children, options, env)
    is_listed = is_section or bool(document.title and not number)
    document.headings.append(
      _Heading(opening.tag, anchor, text.replace('\n', ' '), is_listed)
    )
    return self.renderToken(tokens, index, options, env)

  def link_open(self, tokens, index, options, env):
    """Keeps links to documents of the page; shows other links as text."""
    document = env['document']
    target = document.anchors.get(tokens[index].attrs['href'])
    document.targets.append(target)
    return f'<a href="{escapeHtml(target)}">' if target else ''

  def link_close(self, tokens, index, options, env):
    return '</a>' if env['document'].targets.pop() else ''

  def image(self, tokens, index, options, env):
    """Embeds a picture in the page, or else shows its text."""
    image = tokens[index]
    text = escapeHtml(self.renderInlineAsText(image.children, options, env))
    content = _read_picture(env['document'].directory, image.attrs['src'])
    if content is None:
      return text
    width, height = struct.unpack('>II', content[16:24])
    encoded = base64.b64encode(content).decode('ascii')
    return (
      f'<img src="data:image/png;base64,{encoded}" alt="{text}"'
      f' width="{width}" height="{height}">'
    )

  def paragraph_open(self, tokens, index, options, env):
    """Marks paragraphs that hold only pictures."""
    inside = tokens[index + 1].children or []
    pictures = [t for t in inside if t.type == 'image']
    if pictures and all(t.type in ('image', 'softbreak') for t in inside):
      tokens[index].attrSet('class', 'pictures' if pictures[1:] else 'picture')
    return self.renderToken(tokens, index, options, env)

  def table_open(self, tokens, index, options, env):
    return _TABLE_BOX + self.renderToken(tokens, index, options, env)

  def table_close(self, tokens, index, options, env):
    return self.renderToken(tokens, index, options, env) + '</div>\n'


def write_page(
  directory: str | os.PathLike[str],
  name: str,
  documents: Mapping[str, str],
) -> str:
  """Writes Markdown documents of a folder as one HTML file beside them.

  Args:
    directory: The folder that holds the documents.
    name: The name of the HTML file, which is replaced whole or not at all.
    documents: From the documents' names to the headings that they get; the
      first document keeps its own. Pictures must be PNG files in the folder,
      given by relative paths; any other picture is replaced by its text.

  Returns:
    The path of the HTML file.

  Raises:
    OSError: A document cannot be read, or the page cannot be written.
  """
  directory = os.fspath(directory)
  parser = markdown_it.MarkdownIt(
    'commonmark', {'html': False, 'xhtmlOut': False}, renderer_cls=_Renderer
  ).enable('table')
  anchors = {name: f'#{os.path.splitext(name)[0]}' for name in documents}
  pages, headings = [], []
  for file, title in documents.items():
    document = _Document(
      directory, anchors, anchors[file][1:], title if pages else ''
    )
    text = files.read_text(os.path.join(directory, file))
    pages.append(parser.render(text, {'document': document}))
    headings += document.headings
  first_heading, end, rest = pages[0].partition('</h1>\n')
  content = _template().render(
    title=headings[0].text if headings else name,
    first_heading=first_heading + end if end else '',
    contents=[heading for heading in headings if heading.is_listed],
    body=''.join([rest if end else pages[0], *pages[1:]]),
  )
  path = os.path.join(directory, name)
  files.write_text(path, content)
  return path


@functools.cache
def _template() -> jinja2.Template:
  file = resources.files('uncertainty_distill.reports') / 'page.html.jinja'
  return jinja2.Environment(
    autoescape=True, trim_blocks=True, keep_trailing_newline=True
  ).from_string(file.read_text(encoding='utf-8'))


def _set_under(title: str, number: int, heading: list[token.Token]) -> None:
  """Lowers a heading of a document by a level; the first one gets the title.

  Args:
    title: The title of the document.
    number: The number of headings before this one in the document.
    heading: The heading's three tokens.
  """
  opening, inline, closing = heading
  opening.tag = closing.tag = f'h{min(int(opening.tag[1]) + 1, 6)}'
  if not number:
    inline.children = [token.Token('text', '', 0, content=title)]


def _read_picture(directory: str, source: str) -> bytes | None:
  """Returns the content of a PNG file in the folder; None for anything else."""
  place = parse.unquote(source)
  names = place.split('/')
  if ':' in place or '\\' in place or not names[0] or '..' in names:
    return None
  path = os.path.join(directory, place)
  if not files.is_file(path):
    return None
  content = files.read_bytes(path)
  return content if content.startswith(_PNG) and len(content) > 24 else None
