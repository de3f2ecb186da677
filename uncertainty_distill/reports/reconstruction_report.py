"""Reports how far the members of an ensemble are from one BatchEnsemble.

See section 2 of Mariet et al. 2020, "Distilling Ensembles Improves Uncertainty
Estimates": whether the members are exactly a BatchEnsemble (theorem 1), and how
near to them the nearest BatchEnsemble comes (footnote 1).
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
# From '' (neurons in the order of training) or 'aligned' to the layers.
_Comparison = Mapping[str, Sequence[reconstruction.LayerComparison]]

_LEGEND = """\
- **Rank 1** and so on: the relative error
  sqrt(sum over i of ||W0 o R_i - W_i||² / sum over i of ||W_i||²) of the
  nearest BatchEnsemble that was found, where each R_i has this rank, or the
  layer's full rank if that is lower.
- **Exists**: whether a BatchEnsemble of this rank has the members' weights, to
  a relative error of 1e-5. "No: pixels": none of any rank has, because its
  members differ in the same way at all pixels of a convolution, and these
  members do not. "No: quotients": none of rank 1 has, because some W_i / W_j
  has a higher rank (theorem 1). "None found": neither reason applies, but a
  search found none, which is not a proof.
- **Any rank ≥**: the error that no rank falls below, because of the pixels.
- **Rank of W_i / W_j**: the ranks of the Hadamard quotients of all pairs of
  members, and the layer's full rank."""
_ALIGNED = """\
- **Aligned**: the relative error after each member's neurons were reordered so
  that its weights are most like the first member's, which does not change its
  function. The column **Exists** to the right is about these weights."""

_Verdict = reconstruction.Verdict
_REASONS = {
  _Verdict.PIXELS_DIFFER: 'cannot be one of any rank, because W_i / W_j is '
  'not the same for all pixels of the convolution',
  _Verdict.QUOTIENTS_DIFFER: 'cannot be one of rank 1, because some W_i / W_j '
  'has a higher rank (theorem 1)',
  _Verdict.UNDECIDED: 'are undecided: a search found none, which is not a '
  'proof',
}


def write_reconstruction(
  teacher: trained.TrainedModel,
  directory: str,
  ranks: Sequence[int] = (1,),
  aligned: bool = False,
) -> str:
  """Reports how near BatchEnsembles come to an ensemble, layer by layer.

  If the directory already has a report of the same weights, ranks and
  alignment, nothing is done.

  Args:
    teacher: The runs of two or more plain networks of one architecture.
    directory: The folder for `reconstruction.html`, `.md` and `.json`, and
      `plots/reconstruction.png`.
    ranks: The ranks of the perturbations.
    aligned: Whether to repeat the comparison after aligning the members'
      neurons.

  Returns:
    The Markdown table of relative errors.

  Raises:
    InputError: If the networks do not fit together, if the ranks are not
      distinct or not possible for the networks' matrices, or if the directory
      cannot be written.
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
  """Returns the table of a report that is still valid, or ''."""
  try:
    content = json.loads(files.read_text(os.path.join(directory, _FILE)))
    weights = content['made_from'].pop('weights')
    if content['made_from'] == made_from and all(
      part.has_fingerprint(mark)
      for part, mark in zip(teacher.parts, weights, strict=True)
    ):
      return content['table']
  except (OSError, ValueError, KeyError, TypeError):
    pass  # There is no report yet, or it is unreadable.
  return ''


def _compare(members, ranks, aligned) -> dict[str, Any]:
  """Compares the members as trained and, if asked for, aligned."""
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
  """Returns a table with a row for each layer, and one for all layers."""
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
  """Explains for each rank if the members are a BatchEnsemble, or why not."""
  count = len(layers)
  # A quotient without any defined entry has rank 0.
  single = sum(layer.quotient_ranks == (1, 1) for layer in layers)
  full = sum(layer.quotient_ranks[0] == layer.full_rank for layer in layers)
  lines = [
    f'All quotients W_i / W_j have rank 1 in {single} of {count} layers, and '
    f'full rank in {full}.'
  ]
  undefined = sum(layer.undefined for layer in layers)
  if undefined:
    lines.append(
      f'{undefined} entries of the quotients divide by 0 and are left out of '
      'the ranks.'
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
      'In the layers whose pixels differ, the relative error is, for any '
      f'rank, at least {min(apart):.3f} to {max(apart):.3f}.'
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
  files.remove(os.path.join(directory, _FILE))
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
  # Last: this file says that all the others exist.
  files.write_text(os.path.join(directory, _FILE), f'{text}\n')
