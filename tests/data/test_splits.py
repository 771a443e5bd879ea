from collections import Counter
from contextlib import nullcontext

import numpy as np
import pytest

from hf_cushing.data.groups import group_patients, pair_links
from hf_cushing.data.options import PrepareOptions
from hf_cushing.data.splits import assign_patients, deal_folds, split_cohort
from hf_cushing.schema import NO_FOLD, FacePhoto, UserError


def photo(patient, label="control", sex="female", **more):
    return FacePhoto(row=0, file_name="x", patient_id=patient, label=label, sex=sex, **more)


def cohort(rng, patients, positive=0.4):
    photos = []
    for number in range(patients):
        label = "cushing" if rng.random() < positive else "control"
        sex = "female" if rng.random() < 0.75 else "male"
        photos += [photo(f"P{number}", label, sex) for _ in range(rng.integers(1, 4))]
    return photos


def assign(photos, shares, seed):
    return assign_patients(photos, shares, seed, {p.patient_id: p.patient_id for p in photos})


def split(photos, links=(), **options):
    return split_cohort(photos, PrepareOptions(**options), where="t.csv", links=links)


@pytest.mark.parametrize("seed", range(20))
def test_each_stratum_is_shared_out_as_asked(seed):
    photos = cohort(np.random.default_rng(seed), 150)
    shares = (0.65, 0.15, 0.2)
    bins = assign(photos, shares, seed)
    for stratum in {(p.label, p.sex) for p in photos}:
        counts = Counter(bins[p.patient_id] for p in photos if (p.label, p.sex) == stratum)
        total = counts.total()
        for number, share in enumerate(shares):
            assert abs(counts[number] - share * total) <= 3


@pytest.mark.parametrize("seed", range(20))
def test_small_strata_leave_no_split_without_a_label(seed):
    strata = [("cushing", "female", 3), ("cushing", "male", 3), ("control", "female", 6)]
    photos = [
        photo(f"{label}{sex}{n}", label, sex) for label, sex, count in strata for n in range(count)
    ]
    splits = split(photos, seed=seed).split
    held = {(splits[p.patient_id], p.label) for p in photos}
    assert len(held) == 6


def test_split_without_a_label_is_refused_by_name():
    counts = (("control", 20), ("cushing", 2))
    photos = [photo(f"{label}{n}", label) for label, count in counts for n in range(count)]
    with pytest.raises(UserError, match=r"the \w+ split gets no patient with label 'cushing'"):
        split(photos, validation_size=0.1, test_size=0.1)


def small_cohort(rng, labels):
    """Up to six matched pairs, and up to eight patients of each label, one to three photos."""
    who = [(f"{n}{label}", label, f"pair{n}") for n in range(rng.integers(7))
           for label in (labels[0], str(rng.choice(labels[1:])))]  # fmt: skip
    who += [(f"{label}{n}", label, "") for label in labels for n in range(rng.integers(9))]
    return [
        photo(name, label, sex, pair_id=pair)
        for name, label, pair in who
        for sex in [str(rng.choice(["female", "male"]))]
        for _ in range(rng.integers(1, 4))
    ]


@pytest.mark.parametrize("labels", [("control", "cushing"), ("control", "cushing", "acromegaly")])
def test_every_fold_of_a_small_cohort_holds_every_label_or_the_largest_number_is_named(labels):
    rng = np.random.default_rng(0)
    for seed in range(200):
        photos = small_cohort(rng, labels)
        pairs = pair_links((p.pair_id, p.patient_id) for p in photos)
        groups = group_patients((p.patient_id for p in photos), pairs)
        held = {label: {groups[p.patient_id] for p in photos if p.label == label}
                for label in {p.label for p in photos}}  # fmt: skip
        most = min(map(len, held.values()), default=0)  # a bound that every deal keeps to
        wanted = int(rng.integers(3, 7))
        if most < wanted:
            said = f"or use --folds {most}" if most > 2 else "at least for 3 folds"
            with pytest.raises(UserError, match=said) if held else nullcontext():
                deal_folds(photos, wanted, seed, groups)
        else:
            folds = deal_folds(photos, wanted, seed, groups)
            cells = {(folds[p.patient_id], p.label) for p in photos}
            assert len(cells) == wanted * len(held)


@pytest.mark.parametrize("counts", [(4, 4, 4), (3, 3, 12)])
def test_a_few_pairs_and_unpaired_patients_fill_five_folds(counts):
    pairs, cases, controls = counts
    photos = [photo(f"{label}p{n}", label, pair_id=f"pair{n}")
              for n in range(pairs) for label in ("control", "cushing")]  # fmt: skip
    photos += [photo(f"cushing{n}", "cushing") for n in range(cases)]
    photos += [photo(f"control{n}", "control") for n in range(controls)]
    folds = split(photos, validation_size=0.3, test_size=0.3).folds[0]
    assert len({(folds[p.patient_id], p.label) for p in photos}) == 10


def test_order_of_the_table_does_not_matter(rng):
    photos = cohort(rng, 40)
    mixed = [photos[i] for i in rng.permutation(len(photos))]
    assert assign(photos, (0.5, 0.5), 1) == assign(mixed, (0.5, 0.5), 1)


def test_seed_changes_the_split(rng):
    photos = cohort(rng, 40)
    assert assign(photos, (0.5, 0.5), 1) != assign(photos, (0.5, 0.5), 2)


def test_linked_patients_get_one_group_also_by_way_of_others():
    links = [("e", "d"), ("a", "c"), ("c", "e")]
    groups = group_patients("abcdef", links)
    assert groups == {"a": "a", "c": "a", "d": "a", "e": "a", "b": "b", "f": "f"}


@pytest.mark.parametrize("seed", range(5))
def test_matched_pairs_stay_together_in_splits_and_folds(seed):
    photos = [
        photo(f"{label}{n}", label, ("female", "male")[n % 3 == 0], pair_id=f"pair{n}")
        for n in range(42)
        for label in ("control", "cushing")
    ]
    found = split(photos, seed=seed, repeats=2)
    for dealt in (found.split, *found.folds):
        assert all(dealt[f"control{n}"] == dealt[f"cushing{n}"] for n in range(42))
    assert {Counter(found.folds[0].values())[fold] for fold in range(5)} <= {14, 16, 18, 20}


def test_linked_patients_stay_together_even_if_one_has_no_photo_left():
    photos = cohort(np.random.default_rng(0), 60)
    found = split(photos, links=[("P1", "gone"), ("gone", "P2"), ("P3", "P4")])
    for dealt in (found.split, *found.folds):
        assert dealt["P1"] == dealt["P2"]
        assert dealt["P3"] == dealt["P4"]


def test_repeats_deal_anew_and_each_is_a_whole_cross_validation():
    photos = [photo(f"{label}{n}", label) for n in range(30) for label in ("control", "cushing")]
    folds = split(photos, validation_size=0.2, repeats=3).folds
    assert len(folds) == 3
    assert len({tuple(sorted(one.items())) for one in folds}) == 3
    for one in folds:
        assert set(one.values()) == {0, 1, 2, 3, 4}
        assert one.keys() == {p.patient_id for p in photos}


def sites():
    return [
        photo(f"{label}{n}", label, site="AB"[n % 2])
        for n in range(24)
        for label in ("control", "cushing")
    ]


def test_external_site_is_the_test_split_and_in_no_fold():
    photos = [*sites(), photo("control0", site="B")]  # a patient seen at both
    found = split(photos, external_sites=("B",), validation_size=0.25, folds=3)
    for p in photos:
        outside = p.site == "B" or p.patient_id == "control0"
        assert (found.split[p.patient_id] == "test") is outside
        assert (found.folds[0][p.patient_id] == NO_FOLD) is outside
    assert set(found.folds[0].values()) == {NO_FOLD, 0, 1, 2}


def test_unknown_external_site_is_refused_with_those_that_exist():
    with pytest.raises(UserError, match=r"--external-site C: .*sites: A, B"):
        split(sites(), external_sites=("C",))


def test_external_site_without_a_label_is_refused():
    photos = [*sites(), photo("extra", site="C")]
    with pytest.raises(UserError, match="test split gets no patient with label 'cushing'"):
        split(photos, external_sites=("C",))


def test_groups_with_several_labels_go_first_where_a_label_is_lacking():
    photos = [
        photo(f"{group}{label}", label) for group in "abc" for label in ("control", "cushing")
    ]
    groups = {p.patient_id: p.patient_id[0] for p in photos}
    bins = assign_patients(photos, (0.6, 0.2, 0.2), 0, groups)  # by photos alone, bin 0 gets two
    assert set(bins.values()) == {0, 1, 2}
