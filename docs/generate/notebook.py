"""Makes the page of a notebook: its text, its code and the code's output."""

from __future__ import annotations

import base64
import json
import pathlib


def page(path: pathlib.Path, name: str) -> tuple[str, dict[str, bytes]]:
  """Returns the page and its pictures.

  Args:
    path: The notebook.
    name: The prefix of the pictures' names.
  """
  sections, pictures = [], {}
  for cell in json.loads(path.read_text())['cells']:
    source = ''.join(cell['source'])
    if cell['cell_type'] == 'markdown':
      sections.append(source)
      continue
    sections.append(f'```python\n{source}\n```')
    for output in cell['outputs']:
      data = output.get('data', {})
      if 'image/png' in data:
        file = f'{name}_{len(pictures)}.png'
        pictures[file] = base64.b64decode(data['image/png'])
        sections.append(f'![What the code above draws]({file})')
      else:
        text = ''.join(output.get('text') or data['text/plain'])
        sections.append(f'```text\n{text.rstrip()}\n```')
  return '\n\n'.join(sections) + '\n', pictures
