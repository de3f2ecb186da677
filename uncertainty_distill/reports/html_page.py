"""Reports as one HTML file that needs nothing beside it, and can be mailed.

A page shows Markdown documents that are there: it is made from them alone, so
that it never says something else. Whatever is in them, the page runs no script
and loads nothing: raw HTML is shown as text, pictures are in the page, links
lead to places on it, and its content security policy forbids the rest.
"""

from __future__ import annotations

import base64
import html
import os
import struct
from collections.abc import Mapping, Sequence
from urllib import parse

from uncertainty_distill.io import files
from uncertainty_distill.reports import html_style

import markdown_it
from markdown_it import token as token_lib

REPORT_PAGE = 'report.html'

_Tokens = list[token_lib.Token]

_PNG = b'\x89PNG\r\n\x1a\n'
# The keyboard scrolls only what can have the focus.
_TABLE_BOX = (
  '<div class="table" role="region" aria-label="Table" tabindex="0">\n'
)
_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}</main>
</body>
</html>
"""


def write_page(
  directory: str | os.PathLike[str],
  name: str,
  documents: Mapping[str, str],
) -> str:
  """Writes Markdown documents of a folder as one HTML file beside them.

  Args:
    directory: The folder.
    name: Of the HTML file; replaced whole or not at all.
    documents: From the documents' names to the headings that they stand under;
      the first document keeps its own. Their pictures are PNG files in the
      folder, by relative paths; what is not is left out, but for its text.

  Returns:
    The path of the HTML file.

  Raises:
    OSError: A document cannot be read, or the page cannot be written.
  """
  directory = os.fspath(directory)
  parser = markdown_it.MarkdownIt(
    'commonmark', {'html': False, 'xhtmlOut': False}
  ).enable('table')
  body, anchors = [], {name: f'#{_anchor(name)}' for name in documents}
  for index, (document, heading) in enumerate(documents.items()):
    tokens = parser.parse(files.read_text(os.path.join(directory, document)))
    _name_headings(tokens, _anchor(document))
    if index:
      _set_under(tokens, heading)
    body += tokens
  for token in body:
    if token.type == 'inline':
      token.children = _embedded(token.children, directory, anchors)
  title, contents = _contents(body)
  path = os.path.join(directory, name)
  files.write_text(
    path,
    _PAGE.format(
      title=html.escape(title or name),
      style=html_style.STYLE,
      body=parser.renderer.render(
        _with_contents(_boxed(body), contents), parser.options, {}
      ),
    ),
  )
  return path


def _anchor(document: str) -> str:
  return os.path.splitext(document)[0]


def _name_headings(tokens: _Tokens, document: str) -> None:
  """Names headings for links, and marks those that the contents list."""
  openings = [token for token in tokens if token.type == 'heading_open']
  for number, token in enumerate(openings):
    token.attrs['id'] = f'{document}-{number}' if number else document
    token.meta['listed'] = token.tag == 'h2'


def _set_under(tokens: _Tokens, heading: str) -> None:
  """Puts a document under a heading, in the place of its own first one."""
  places = [i for i, t in enumerate(tokens) if t.type == 'heading_open']
  for token in tokens:
    if token.type in ('heading_open', 'heading_close'):
      token.tag = f'h{min(int(token.tag[1]) + 1, 6)}'
  for place in places[:1]:
    tokens[place].meta['listed'] = True
    tokens[place + 1].children = [_text(heading)]


def _plain(tokens: Sequence[token_lib.Token]) -> str:
  """Returns the text of inline tokens, without their markup."""
  return ''.join(
    ' '
    if token.type == 'softbreak'
    else _plain(token.children)
    if token.children
    else token.content
    for token in tokens
  )


def _embedded(
  tokens: Sequence[token_lib.Token],
  directory: str,
  anchors: Mapping[str, str],
) -> _Tokens:
  """Puts pictures into the page; of what leads out of it the text remains."""
  kept, targets = [], []
  for token in tokens:
    if token.type == 'image':
      kept.append(_picture(token, directory))
    elif token.type == 'link_open':
      targets.append(anchors.get(token.attrs['href']))
      token.attrs = {'href': targets[-1]}
      kept += [token] if targets[-1] else []
    elif token.type != 'link_close' or targets.pop():
      kept.append(token)
  return kept


def _picture(token: token_lib.Token, directory: str) -> token_lib.Token:
  """Returns an image that is in the page, or the text in its place."""
  text = _text(_plain(token.children or ()))
  content = _read_picture(directory, token.attrs['src'])
  if content is None:
    return text
  width, height = struct.unpack('>II', content[16:24])
  encoded = base64.b64encode(content).decode('ascii')
  token.attrs = {
    'src': f'data:image/png;base64,{encoded}',
    'alt': '',
    'width': width,
    'height': height,
  }
  token.children = [text]
  return token


def _read_picture(directory: str, source: str) -> bytes | None:
  """Returns a PNG file of the folder; None for anything else."""
  place = parse.unquote(source)
  names = place.split('/')
  if ':' in place or '\\' in place or not names[0] or '..' in names:
    return None
  path = os.path.join(directory, place)
  if not files.is_file(path):
    return None
  content = files.read_bytes(path)
  return content if content.startswith(_PNG) and len(content) > 24 else None


def _boxed(tokens: Sequence[token_lib.Token]) -> _Tokens:
  """Puts what may be wide into boxes that scroll by themselves."""
  boxed = []
  for index, token in enumerate(tokens):
    if token.type == 'table_open':
      boxed.append(_raw(_TABLE_BOX))
    elif token.type == 'paragraph_open':
      inside = tokens[index + 1].children or []
      pictures = [t for t in inside if t.type == 'image']
      if pictures and all(t.type in ('image', 'softbreak') for t in inside):
        token.attrs['class'] = 'pictures' if pictures[1:] else 'picture'
    boxed.append(token)
    if token.type == 'table_close':
      boxed.append(_raw('</div>\n'))
  return boxed


def _contents(tokens: Sequence[token_lib.Token]) -> tuple[str, str]:
  """Returns the text of the first heading, and links to the sections."""
  title, lines = '', []
  for token, inline in zip(tokens, tokens[1:]):
    if token.type == 'heading_open':
      text = _plain(inline.children)
      title = title or text
      if token.meta['listed']:
        link = html.escape(f'#{token.attrs["id"]}')
        lines.append(
          f'<li class="{token.tag}"><a href="{link}">{html.escape(text)}</a>'
          '</li>'
        )
  if len(lines) < 2:
    return title, ''
  lines = ['<nav aria-label="Contents">', '<ul>', *lines, '</ul>', '</nav>\n']
  return title, '\n'.join(lines)


def _with_contents(tokens: _Tokens, contents: str) -> _Tokens:
  """Puts the contents behind the first heading."""
  ends = [i for i, token in enumerate(tokens) if token.type == 'heading_close']
  place = ends[0] + 1 if ends else 0
  return [*tokens[:place], _raw(contents), *tokens[place:]]


def _text(text: str) -> token_lib.Token:
  return token_lib.Token('text', '', 0, content=text)


def _raw(text: str) -> token_lib.Token:
  return token_lib.Token('html_block', '', 0, content=text)
