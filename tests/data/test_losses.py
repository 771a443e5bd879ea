import itertools
import json

import numpy as np
import pytest
from PIL import Image
from scipy.stats import fisher_exact
from typer.testing import CliRunner

from hf_cushing.cli import app
from hf_cushing.data.chunks import Outcome
from hf_cushing.data.losses import count_losses, exact_p, loss_warnings
from hf_cushing.schema import FacePhoto


def cohort(*groups):
    """Photos and outcomes of groups of (label, sex, site, patients, photos each, affected)."""
    photos, outcomes = [], []
    for number, (label, sex, site, patients, each, affected) in enumerate(groups):
        for patient, shot in itertools.product(range(patients), range(each)):
            photos.append(FacePhoto(row=0, file_name="x", patient_id=f"{number}-{patient}",
                                    label=label, sex=sex, site=site))  # fmt: skip
            lost = shot == 0 and patient < affected
            outcomes.append(Outcome("no_face" if lost else ""))
    return photos, outcomes


def warnings(*groups):
    return list(loss_warnings(count_losses(*cohort(*groups))))


@pytest.mark.parametrize("table", [(9, 7, 30, 1), (9, 0, 30, 12), (5, 2, 5, 2), (1, 1, 40, 0)])
def test_with_one_stratum_the_test_is_fishers(table):
    n, affected, others, others_affected = table
    expected = fisher_exact([[affected, n - affected], [others_affected, others - others_affected]])
    found = exact_p({1: (n, affected)}, {1: (n + others, affected + others_affected)})
    assert found == pytest.approx(expected.pvalue, rel=1e-9)


def test_with_strata_the_test_equals_all_assignments_counted(rng):
    lost = {1: [1, 1, 0, 0, 0], 2: [1, 0, 0, 1]}
    members = {1: 2, 2: 3}
    ways = [itertools.combinations(values, members[s]) for s, values in lost.items()]
    totals = np.array([sum(map(sum, way)) for way in itertools.product(*ways)])
    chance = {total: np.mean(totals == total) for total in set(totals.tolist())}
    whole = {s: (len(values), sum(values)) for s, values in lost.items()}
    for seen in itertools.product(range(3), range(3)):
        if sum(seen) in chance and seen[0] <= 2 and 1 <= seen[1] <= 2:
            part = {s: (members[s], n) for s, n in zip(lost, seen, strict=True)}
            expected = sum(p for p in chance.values() if p <= chance[sum(seen)] + 1e-12)
            assert exact_p(part, whole) == pytest.approx(expected)


def test_large_cohort_is_counted_too():
    half = {1: (50_000, 500), 2: (50_000, 900)}
    assert exact_p(half, {1: (100_000, 1000), 2: (100_000, 2000)}) == pytest.approx(2.3e-4, rel=0.1)


def test_group_that_lost_more_is_named_and_equal_losses_are_not():
    rest = [("cushing", "female", "", 9, 1, 0), ("control", "male", "", 9, 1, 0)]
    (said,) = warnings(("control", "female", "", 9, 1, 7), *rest)
    assert said.startswith("7 of 9 patients with label 'control' and sex 'female' lost photos")
    assert "no_face 7" in said
    assert "of all others 0 of 18" in said
    assert not warnings(("control", "female", "", 9, 1, 2), ("cushing", "female", "", 9, 1, 1))


def test_patients_with_more_photos_may_lose_more():
    few, many = ("control", "female", "", 60, 1, 6), ("cushing", "female", "", 60, 5, 30)
    assert not warnings(few, many)


def test_second_copy_of_a_file_is_no_loss():
    photos, outcomes = cohort(
        ("control", "female", "", 9, 2, 7), ("cushing", "female", "", 9, 2, 0)
    )
    copies = [Outcome("copy" if outcome.reason else "") for outcome in outcomes]
    losses = count_losses(photos, copies)
    assert [(loss["photos"], loss["rejected"]) for loss in losses] == [(11, 0), (18, 0)]


def test_loss_at_one_site_is_seen():
    groups = [("control", "female", "A", 20, 1, 1), ("cushing", "female", "A", 20, 1, 1)]
    (said,) = warnings(*groups, ("control", "female", "B", 10, 1, 9))
    assert "label 'control' and site 'B'" in said


def test_loss_is_told_in_terminal_account_audit_and_card(make_clinic, tmp_path):
    groups = [(label, sex) for label in ("control", "cushing") for sex in ("female", "male")]
    rows = [(f"{label}{sex}{n}.png", f"{label}{sex}{n}", sex, label)
            for label, sex in groups for n in range(9)]  # fmt: skip
    raw, out = make_clinic(rows), tmp_path / "out"
    for n in range(7):
        Image.new("RGB", (99, 99), (n, 0, 0)).save(raw / f"controlfemale{n}.png")
    command = ["prepare", str(raw), "--out", str(out), "--no-identity", "--num-proc", "1"]
    said = CliRunner().invoke(app, [*command, "--folds", "3", "--test-size", "0.3", "--allow"])
    assert said.exit_code == 0, said.output
    sentence = "7 of 9 patients with label 'control' and sex 'female' lost photos (no_face 7)"
    assert said.output.count(sentence) == 1
    assert "rejected of control, female: 7 of 9" in said.output
    row = "| control | female | 9 | 7 (78 %) | 9 | 7 (78 %) |"
    for name in ("intake.md", "README.md"):
        text = (out / name).read_text()
        assert row in text
        assert sentence in text
    assert "7 (78 %)" in (out / "audit.html").read_text()
    assert any(
        sentence in text for text in json.loads((out / "audit.json").read_text())["warnings"]
    )
