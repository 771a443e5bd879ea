"""Who lost photos on the way into the dataset: by label × sex and label × site."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hf_cushing.data.chunks import Outcome
from hf_cushing.schema import FacePhoto

ALPHA = 0.05


def count_losses(photos: Sequence[FacePhoto], outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Count the clinic's kept and rejected photos in each label × sex, and label × site.

    Sites count where there are several. A second copy of one file is no loss, and the public
    controls, who were chosen among many, are left out.

    Returns
    -------
    list of dict
        label, by ("sex" or "site"), group, photos, rejected, patients, affected (patients with a
        rejected photo), others and others_affected (all other patients), reasons (Counter), and
        `p`: of Fisher's exact test against the other patients, two-sided, among patients with as
        many photos (a patient with more has more to lose), times the number of groups.
    """
    rows = [
        (photo, outcome.reason)
        for photo, outcome in zip(photos, outcomes, strict=True)
        if not photo.public and outcome.reason != "copy"
    ]
    names = ["sex", "site"] if len({photo.site for photo, _ in rows}) > 1 else ["sex"]
    losses = []
    for name in names:
        cells: dict[tuple[str, str], dict[str, list[str]]] = {}
        for photo, reason in rows:
            cell = cells.setdefault((photo.label, getattr(photo, name)), defaultdict(list))
            cell[photo.patient_id].append(reason)
        everybody = [reasons for cell in cells.values() for reasons in cell.values()]
        for (label, group), cell in sorted(cells.items()):
            facts = {"label": label, "by": name, "group": group}
            losses.append(facts | _compare(list(cell.values()), everybody))
    return [loss | {"p": min(1.0, loss["p"] * len(losses))} for loss in losses]


def _compare(group: list[list[str]], everybody: list[list[str]]) -> dict[str, Any]:
    reasons = Counter(reason for patient in group for reason in patient if reason)
    patients, affected = len(group), sum(map(any, group))
    return {
        "photos": sum(map(len, group)),
        "rejected": reasons.total(),
        "patients": patients,
        "affected": affected,
        "others": len(everybody) - patients,
        "others_affected": sum(map(any, everybody)) - affected,
        "reasons": dict(reasons),
        "p": exact_p(*(_by_number(some) for some in (group, everybody))),
    }


def _by_number(patients: list[list[str]]) -> dict[int, tuple[int, int]]:
    """By number of photos: patients with as many, and how many of them lost one."""
    members: dict[int, list[bool]] = defaultdict(list)
    for reasons in patients:
        members[len(reasons)].append(any(reasons))
    return {number: (len(lost), sum(lost)) for number, lost in members.items()}


def exact_p(part: dict[int, tuple[int, int]], whole: dict[int, tuple[int, int]]) -> float:
    """Two-sided exact test that a group is affected as often as all, within strata.

    The number affected is a sum of hypergeometric ones (Mehta and Patel's conditional exact
    test; Fisher's with one stratum).

    Parameters
    ----------
    part, whole : dict
        Stratum to (members, affected ones) of the group, and of all with the group.
    """
    chance, least = np.ones(1), 0
    for stratum, (members, _) in part.items():
        total, affected = whole[stratum]
        low, high = max(0, members + affected - total), min(members, affected)
        values = _hypergeometric(np.arange(low, high + 1), total, affected, members)
        seen = np.flatnonzero(values > 1e-18)  # short enough for the sums of large cohorts
        chance = np.convolve(chance, values[seen[0] : seen[-1] + 1])
        least += low + int(seen[0])
    place = sum(affected for _, affected in part.values()) - least
    if not 0 <= place < len(chance):
        return 0.0
    return min(1.0, float(chance[chance <= chance[place] * (1 + 1e-7)].sum()))


def _hypergeometric(k: np.ndarray, total: int, affected: int, members: int) -> np.ndarray:
    """Chance that `k` of `members`, drawn from `total`, are among the `affected`."""
    from scipy.special import gammaln  # scipy.stats takes a second to import

    def ways(n: int, some: np.ndarray | int) -> np.ndarray:
        return gammaln(n + 1) - gammaln(some + 1) - gammaln(n - some + 1)

    drawn = ways(affected, k) + ways(total - affected, members - k)
    return np.exp(drawn - ways(total, members))


def loss_warnings(losses: Sequence[dict[str, Any]]) -> Iterator[str]:
    """One sentence for each group that lost more than the others; without any, that lost less."""
    unlike = [loss for loss in losses if loss["p"] < ALPHA]
    more = [loss for loss in unlike if _share(loss) > _share_of_others(loss)]
    for loss in more or unlike:
        reasons = ", ".join(f"{name} {count}" for name, count in sorted(loss["reasons"].items()))
        yield (
            f"{loss['affected']} of {loss['patients']} patients with label '{loss['label']}' and "
            f"{loss['by']} '{loss['group']}' lost photos ({reasons or 'none'}), of all others "
            f"{loss['others_affected']} of {loss['others']} (exact test, p = {loss['p']:.1g} after "
            f"correction for {len(losses)} groups): those kept may not stand for all; look at the "
            "rejected photos"
        )


def _share(loss: dict[str, Any]) -> float:
    return loss["affected"] / loss["patients"]


def _share_of_others(loss: dict[str, Any]) -> float:
    return loss["others_affected"] / max(loss["others"], 1)
