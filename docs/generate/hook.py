"""Adds the generated pages to the site; mkdocs.yml names this file."""

from __future__ import annotations

import ast
import pathlib
import posixpath
import re

# MkDocs finds modules beside this one.
import commands
import configuration
import notebook
import paper
from mkdocs.structure.files import File

_ROOT = pathlib.Path(__file__).resolve().parents[2]

_API = """# Python API

`import uncertainty_distill as ud` offers these names. They are the public API;
what else the package holds may change at any time. Letters in shapes: E or M
members, B or N examples, K classes, H, W and C an image's height, width and
channels.
"""


def _api_page() -> str:
  """Returns a page on which mkdocstrings describes every public name."""
  stub = _ROOT / 'uncertainty_distill/__init__.pyi'
  sections = [_API]
  for node in ast.parse(stub.read_text()).body:
    if isinstance(node, ast.ImportFrom):
      for alias in node.names:
        path = f'uncertainty_distill.{node.module}.{alias.name}'
        sections.append(f'::: {path}')
  return '\n\n'.join(sections) + '\n'


def on_files(files, config):
  """Adds pages and pictures from the code, the README and the notebooks."""
  readme = (_ROOT / 'README.md').read_text()
  notebooks, pictures = {}, {}
  for name in 'tour', 'pictures':
    path = _ROOT / f'docs/{name}.ipynb'
    notebooks[f'{name}.md'], drawn = notebook.page(path, name)
    pictures |= drawn
  generated = {
    'index.md': readme.replace('](docs/', ']('),
    'reference/api.md': _api_page(),
    'reference/configuration.md': configuration.page(_ROOT),
    'reference/commands.md': commands.page(_ROOT),
    **notebooks,
    **pictures,
  }
  for path, content in generated.items():
    files.append(File.generated(config, path, content=content))
  return files


def on_page_markdown(markdown, page, config, files):
  """Adds tables of numbers, and removes links to files outside the site."""
  markdown = paper.with_numbers(markdown, _ROOT)
  folder = posixpath.dirname(page.file.src_uri)

  def shown(link):
    target = link[2].partition('#')[0]
    path = posixpath.normpath(posixpath.join(folder, target))
    at_home = page.file.src_uri == 'index.md' and (_ROOT / target).exists()
    if path.startswith('..') or at_home:
      return link[1]
    return link[0].replace('.ipynb', '.md')

  return re.sub(r'\[([^\]]*)\]\((?!\w+:|#)([^)\s]+)\)', shown, markdown)


def on_post_build(config):
  """Removes 404.html, a page for servers whose links do not work from disk."""
  (pathlib.Path(config.site_dir) / '404.html').unlink()
