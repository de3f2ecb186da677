"""How far the members of an ensemble are from one BatchEnsemble, in a report.

Section 2 of Mariet et al. 2020, "Distilling Ensembles Improves Uncertainty
Estimates": whether they are one exactly (theorem 1), and how near the nearest
one comes (footnote 1).
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from uncertainty_distill import models, plots, reconstruction, runs, trained
from uncertainty_distill.errors import InputError
from uncertainty_distill.io import files
from uncertainty_distill.reports import html_page, tables
from uncertainty_distill.runtime import progress

_FILE, _REPORT = 'reconstruction.json', 'reconstruction.md'
# Whether neurons are as they were trained, or aligned, to the layers.
_Comparison = Mapping[str, Sequence[reconstruction.LayerComparison]]

_LEGEND = """\
- **Rank 1** and so on: the relative error
  sqrt(sum over i of ||W0 o R_i - W_i||² / sum over i of ||W_i||²) of the
  nearest BatchEnsemble that was found, each R_i of this rank, or of the layer's
  full rank where that is lower.
- **Exists**: whether a BatchEnsemble of this rank has the members' weights, to
  a relative error of 1e-5. "No: pixels": none of any rank has, because its
  members' differences are the same for all pixels of a convolution, and these
  members' are not. "No: quotients": none of rank 1 has, because some W_i / W_j
  has a higher rank (theorem 1). "None found": neither reason applies, and a
  search found none, which is no proof.
- **Any rank ≥**: what no rank falls below, because of the pixels.
- **Rank of W_i / W_j**: the ranks of the Hadamard quotients of all pairs of
  members, and the layer's full rank."""
_ALIGNED = """\
- **Aligned**: the relative error after each member's neurons were put into the
  order in which its weights are most like the first member's, which leaves its
  function as it is. **Exists** on its right is about these weights."""

_Verdict = reconstruction.Verdict
_REASONS = {
  _Verdict.PIXELS_DIFFER: 'are none of any rank, because W_i / W_j is not the '
  'same for all pixels of the convolution',
  _Verdict.QUOTIENTS_DIFFER: 'are none of rank 1, because some W_i / W_j has a '
  'higher rank (theorem 1)',
  _Verdict.UNDECIDED: 'are undecided: a search found none, which is no proof',
}


def reconstruct(
  teacher: trained.TrainedModel,
  directory: str,
  ranks: Sequence[int] = (1,),
  aligned: bool = False,
) -> str:
  """Reports how near BatchEnsembles come to an ensemble, layer by layer.

  A report that the directory has of the same weights, ranks and alignment is
  left as it is.

  Args:
    teacher: Two or more plain networks of one architecture, as runs.
    directory: The folder for `reconstruction.html`, `.md` and `.json`, and
      `plots/reconstruction.png`.
    ranks: The ranks of the perturbations.
    aligned: Whether to do the same again after the members' neurons were
      aligned.

  Returns:
    The Markdown table of relative errors.

  Raises:
    InputError: If the networks do not go together, a rank is not one of their
      matrices', or the directory cannot be written.
  """
  if len(teacher.parts) < 2:
    raise InputError(
      teacher.name, list(teacher.paths), 'at least 2 run folders'
    )
  trained.check_networks(teacher, None, 'a reconstruction')
  members = teacher.networks()
  if not ranks or len(set(ranks)) < len(ranks):
    raise InputError('ranks', list(ranks), 'distinct numbers')
  for rank in ranks:
    models.check_rank(members[0], rank)
  runs.make_writable(directory, 'output_dir')
  # Format 1 did not say whether a BatchEnsemble exists.
  made_from = {'format': 2, 'ranks': list(ranks), 'aligned': aligned}
  table = _read_table(directory, teacher, made_from)
  if not table:
    comparison = _compare(members, ranks, aligned)
    table = _table(comparison, ranks)
    made_from['weights'] = [part.fingerprint for part in teacher.parts]
    _write(directory, teacher.paths, comparison, table, made_from)
  return table


def _read_table(
  directory: str, teacher: trained.TrainedModel, made_from: Mapping[str, Any]
) -> str:
  """Returns the table of a report that is still valid; empty without one."""
  try:
    content = json.loads(files.read_text(os.path.join(directory, _FILE)))
    weights = content['made_from'].pop('weights')
    if content['made_from'] == made_from and all(
      part.has_fingerprint(mark)
      for part, mark in zip(teacher.parts, weights, strict=True)
    ):
      return content['table']
  except (OSError, ValueError, KeyError, TypeError):
    pass  # None yet, or unreadable.
  return ''


def _compare(members, ranks, aligned) -> dict[str, Any]:
  """Compares as trained, and aligned if that is wanted."""
  total = len(models.kernels(members[0])) * (2 if aligned else 1)
  with progress.progress_bar(total, 'reconstruction', 'layer') as bar:
    found = {
      '': reconstruction.compare_layers(members, ranks, after_layer=bar.update)
    }
    if aligned:
      for member, weights in zip(
        members, reconstruction.aligned_weights(members)
      ):
        member.set_weights(weights)
      found['aligned'] = reconstruction.compare_layers(
        members, ranks, after_layer=bar.update
      )
  return found


def _table(comparison: _Comparison, ranks: Sequence[int]) -> str:
  """Returns a row for each layer, and one for all of them together."""
  trained = comparison['']
  columns = [
    [
      'Layer',
      *(plots.display_name(layer.name) for layer in trained),
      'All layers',
    ],
    ['Kernel', *('×'.join(map(str, layer.shape)) for layer in trained), ''],
    ['Rank of W_i / W_j', *map(_ranks, trained), ''],
  ]
  for rank in (*ranks, None):
    for name, layers in comparison.items():
      errors = [
        layer.errors[rank] if rank else layer.pixel_error for layer in layers
      ]
      errors.append(reconstruction.joint_error(layers, errors))
      heading = f'Rank {rank}' if rank else 'Any rank ≥'
      columns.append(
        [name.capitalize() or heading, *(f'{error:.3f}' for error in errors)]
      )
      if rank:
        verdicts = [layer.verdicts[rank].value for layer in layers]
        exact = verdicts.count(_Verdict.EXISTS.value)
        columns.append(
          ['Exists', *verdicts, f'{exact} of {len(layers)} layers']
        )
  header, *rows = zip(*columns)
  return tables.markdown_table(header, rows)


def _ranks(layer: reconstruction.LayerComparison) -> str:
  low, high = layer.quotient_ranks
  return f'{low if low == high else f"{low}-{high}"} of {layer.full_rank}'


def _findings(layers: Sequence[reconstruction.LayerComparison]) -> str:
  """Explains by rank whether the members are a BatchEnsemble, and why not."""
  count = len(layers)
  # Where nothing of a quotient is defined, its rank is 0.
  single = sum(layer.quotient_ranks == (1, 1) for layer in layers)
  full = sum(layer.quotient_ranks[0] == layer.full_rank for layer in layers)
  lines = [
    f'All quotients W_i / W_j have rank 1 in {single} of {count} layers, and '
    f'full rank in {full}.'
  ]
  undefined = sum(layer.undefined for layer in layers)
  if undefined:
    lines.append(
      f'{undefined} entries of the quotients divide by 0; their ranks leave '
      'them out.'
    )
  for rank in layers[0].verdicts:
    verdicts = [layer.verdicts[rank] for layer in layers]
    exact = verdicts.count(_Verdict.EXISTS)
    line = f'Rank {rank}: {exact} of {count} layers are a BatchEnsemble.'
    for verdict, reason in _REASONS.items():
      if verdict in verdicts:
        line += f' {verdicts.count(verdict)} {reason}.'
    if exact == count:
      line += f' So the members are one BatchEnsemble of rank {rank}.'
    lines.append(line)
  apart = [
    layer.pixel_error
    for layer in layers
    if _Verdict.PIXELS_DIFFER in layer.verdicts.values()
  ]
  if apart:
    lines.append(
      'Where pixels differ, every BatchEnsemble of any rank is off by '
      f'{min(apart):.3f} to {max(apart):.3f} at least.'
    )
  return '\n'.join(f'- {line}' for line in lines)


def _draw(comparison: _Comparison, ranks: Sequence[int]) -> plots.Figure:
  """Draws each layer's error, rank by rank."""
  return plots.reconstruction_errors(
    [layer.name for layer in comparison['']],
    {
      name: {rank: [x.errors[rank] for x in of] for rank in ranks}
      for name, of in comparison.items()
    },
    {n: [x.pixel_error for x in of] for n, of in comparison.items()},
  )


def _write(directory, paths, comparison, table, made_from) -> None:
  """Writes the files, each whole or not at all."""
  files.make_folder(os.path.join(directory, 'plots'))
  picture = 'plots/reconstruction.png'
  drawn = _draw(comparison, made_from['ranks'])
  plots.save(drawn, os.path.join(directory, picture))
  members = [files.relative(path, directory) for path in paths]
  content = {
    'made_from': made_from,
    'teacher': members,
    'table': table,
    'layers': {
      name or 'as_trained': [dataclasses.asdict(layer) for layer in of]
      for name, of in comparison.items()
    },
  }
  text = json.dumps(content, indent=2, allow_nan=False)
  sections = [
    '# How near one BatchEnsemble comes to the members of an ensemble',
    table,
    _LEGEND + (f'\n{_ALIGNED}' if len(comparison) > 1 else ''),
    f'![Relative error of each layer]({picture})',
    '## Are the members one BatchEnsemble?',
  ]
  for name, of in comparison.items():
    sections += [f'{name.capitalize()}:'] if name else []
    sections.append(_findings(of))
  sections.append('## Members\n\n' + '\n'.join(f'- `{m}`' for m in members))
  text_path = os.path.join(directory, _REPORT)
  files.write_text(text_path, '\n\n'.join(sections) + '\n')
  html_page.write_page(directory, 'reconstruction.html', {_REPORT: ''})
  # Last: it says that all the others are there.
  files.write_text(os.path.join(directory, _FILE), f'{text}\n')
