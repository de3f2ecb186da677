"""Selects the few of many networks that make the best ensemble."""

from __future__ import annotations

import collections
import dataclasses

from uncertainty_distill.errors import DivergedError

import numpy as np

# After so many picks for each wanted member, no network is picked again.
_PATIENCE = 10


@dataclasses.dataclass(frozen=True)
class Selection:
  """The networks that were picked, in the order of the picks.

  Attributes:
    picks: The index of the network of each pick. An index may occur several
      times.
    nlls: The NLL that made each pick the best one; see `select`.
  """

  picks: tuple[int, ...]
  nlls: tuple[float, ...]

  @property
  def counts(self) -> dict[int, int]:
    """How often each network was picked, in the order of first picks."""
    return dict(collections.Counter(self.picks))


def select(
  log_probs: np.ndarray, labels: np.ndarray, num_members: int
) -> Selection:
  """Picks networks greedily, with replacement, until enough are distinct.

  Each pick is the network with which the mean of the probabilities of all picks
  has the least NLL, even if this NLL is no less than before. Of equally good
  networks, the first is picked. A network that is picked again weighs more, so
  that other networks can be picked that would do harm at equal weight (Caruana
  et al., 2004; Wenzel et al., 2020, Algorithm 1, which stops when no pick helps
  and may then have fewer members).

  Greedy picking may return to the same few networks forever. So after 10 picks
  for each wanted member, no network is picked again. Each pick is then the
  network with which the distinct picks have the least NLL, each counted once as
  in the teacher.

  Args:
    log_probs: [R, N, K] of R networks. A network with non-finite values, as
      after training that diverged, is not picked.
    labels: Integers [N].
    num_members: How many distinct networks to pick.

  Returns:
    The picks, of exactly `num_members` distinct networks. The network of the
    last pick was not picked before.

  Raises:
    DivergedError: If fewer than `num_members` networks have finite predictions.
  """
  finite = np.asarray(np.isfinite(log_probs).all((1, 2)))
  if np.sum(finite) < num_members:
    raise DivergedError(
      f'{np.sum(~finite)} of {len(finite)} searched networks have non-finite '
      f'predictions, so that {num_members} members cannot be chosen',
      hint='search more runs, or choose a new folder and a narrower '
      'teacher.search.l2_range',
    )
  # Each network's log-probability of each example's label.
  single = log_probs[:, np.arange(len(labels)), labels].astype(np.float64)
  picks, nlls = [], []
  while len(set(picks)) < num_members:
    mixed, allowed = picks, finite.copy()
    if len(picks) >= _PATIENCE * num_members:
      mixed = sorted(set(picks))
      allowed[mixed] = False
    # Without any picks the sum is exp(-infinity) = 0.
    total = np.logaddexp.reduce(single[np.array(mixed, int)], axis=0)
    scores = np.full(len(finite), np.inf)
    scores[allowed] = np.log(len(mixed) + 1) - np.mean(
      np.logaddexp(total, single[allowed]), axis=-1
    )
    picks.append(int(np.argmin(scores)))
    nlls.append(float(scores[picks[-1]]))
  return Selection(tuple(picks), tuple(nlls))
