"""Which of many networks make the best ensemble of a few."""

from __future__ import annotations

import collections
import dataclasses

from uncertainty_distill.errors import InputError

import numpy as np

# Picks for each member, from which on none is picked again.
_PATIENCE = 10


@dataclasses.dataclass(frozen=True)
class Selection:
  """What was picked, pick after pick.

  Attributes:
    picks: The index of the network in each pick, perhaps the same several
      times.
    nlls: The NLL by which each pick was the best one; see `select`.
  """

  picks: tuple[int, ...]
  nlls: tuple[float, ...]

  @property
  def counts(self) -> dict[int, int]:
    """How often each network was picked, in the order of their first picks."""
    return dict(collections.Counter(self.picks))


def select(
  log_probs: np.ndarray, labels: np.ndarray, num_members: int
) -> Selection:
  """Picks networks greedily, with replacement, until enough are distinct.

  Each pick is the network with which the mean of the probabilities of all picks
  has the least NLL, whether or not it is less than before; of equal ones, the
  first. A network that is picked again weighs more, and makes room for others
  that would harm as equals (Caruana et al., 2004; Wenzel et al., 2020,
  Algorithm 1, which stops when no pick helps and may then have fewer members).
  Greedy picking may turn to the same few for good. After 10 picks for each
  member that is wanted, none is picked again, and a pick is the network with
  which the distinct ones, each counted once as in the teacher, have the least
  NLL.

  Args:
    log_probs: [R, N, K] of R networks. One with non-finite values, as after
      training that diverged, is not picked.
    labels: Integers [N].
    num_members: How many distinct networks to pick.

  Returns:
    The picks, of exactly `num_members` distinct networks; the last pick is the
    first one of its network.

  Raises:
    InputError: If there are fewer networks with finite predictions.
  """
  finite = np.asarray(np.isfinite(log_probs).all((1, 2)))
  if np.sum(finite) < num_members:
    raise InputError(
      'teacher.ensemble_size',
      num_members,
      f'at most {np.sum(finite)}: {np.sum(finite)} of {len(finite)} networks '
      'have finite predictions',
      'search more runs, or narrow teacher.search.l2_range',
    )
  # The log-probability of each example's label, by each network.
  single = log_probs[:, np.arange(len(labels)), labels].astype(np.float64)
  picks, nlls = [], []
  while len(set(picks)) < num_members:
    mixed, allowed = picks, finite.copy()
    if len(picks) >= _PATIENCE * num_members:
      mixed = sorted(set(picks))
      allowed[mixed] = False
    # Without any network the sum is exp(-infinity) = 0.
    total = np.logaddexp.reduce(single[np.array(mixed, int)], axis=0)
    scores = np.full(len(finite), np.inf)
    scores[allowed] = np.log(len(mixed) + 1) - np.mean(
      np.logaddexp(total, single[allowed]), axis=-1
    )
    picks.append(int(np.argmin(scores)))
    nlls.append(float(scores[picks[-1]]))
  return Selection(tuple(picks), tuple(nlls))
