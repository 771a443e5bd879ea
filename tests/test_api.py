"""The package's own names; `hf_cushing/api.py` has the functions' examples, run as doctests."""

import subprocess
import sys

import pytest

import hf_cushing
from hf_cushing.schema import UsageError

HEAVY = ("torch", "transformers", "datasets", "numpy", "PIL", "scipy")

ORDERS = (
    "import hf_cushing",
    "import hf_cushing.predict, hf_cushing.train; import hf_cushing",
    "import hf_cushing; hf_cushing.predict, hf_cushing.train; "
    "import hf_cushing.predict.answer, hf_cushing.train",
    "import hf_cushing.predict.answer; hf_cushing.predict.answer.Predictor",
)


def new_interpreter(code):
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_predict_and_train_are_functions_in_every_order_of_import():
    code = f"""
import sys
for order in {ORDERS}:
    for name in [name for name in sys.modules if name.partition(".")[0] == "hf_cushing"]:
        del sys.modules[name]
    exec(order)
    for name in ("train", "predict"):
        try:
            getattr(hf_cushing, name)("a", "b", nonsense=1)
        except (TypeError, hf_cushing.UserError) as error:
            print(name, error)
"""
    text = new_interpreter(code)
    assert text.count("train unknown name 'nonsense'") == len(ORDERS)
    assert text.count("predict ") == len(ORDERS)


def test_import_of_the_package_is_light_and_all_its_names_are_there():
    code = f"import sys, hf_cushing; print(sorted(set({HEAVY}) & set(sys.modules)))"
    assert new_interpreter(code).strip() == "[]"
    assert all(hasattr(hf_cushing, name) for name in hf_cushing.__all__)
    assert set(hf_cushing.__all__) <= set(dir(hf_cushing))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = hf_cushing.nothing


def test_functions_print_nothing_and_leave_the_libraries_bars_as_they_were(
    run, faces, tmp_path, capfd
):
    import datasets
    from transformers.utils import logging

    (tmp_path / "a.jpg").write_bytes(faces[0])
    logging.enable_progress_bar()
    datasets.enable_progress_bars()
    answers = hf_cushing.predict(str(run), tmp_path / "a.jpg", cpu=True)
    hf_cushing.evaluate(str(run), draws=100, shuffles=100)
    assert answers[0].answer is not None
    assert "".join(capfd.readouterr()) == ""
    assert logging.is_progress_bar_enabled()
    assert not datasets.are_progress_bars_disabled()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: hf_cushing.prepare("a", "b", fold=3), "unknown name 'fold'; did you mean folds"),
        (lambda: hf_cushing.train("a", "b", epoch=3), "unknown name 'epoch'; did you mean epochs"),
        (lambda: hf_cushing.evaluate("a", abstein=1), "'abstein'; did you mean abstain"),
    ],
)
def test_unknown_option_is_refused_with_the_likely_one(call, words):
    with pytest.raises(UsageError, match=words):
        call()


def test_leakage_is_an_error_unless_it_is_allowed(make_clinic, tmp_path):
    from tests.conftest import cohort_rows

    leaking = make_clinic(cohort_rows())  # twelve patients, but only five faces
    options = {"folds": 3, "validation_size": 0.25, "test_size": 0.25, "merge_identities": False}
    with pytest.raises(hf_cushing.UserError, match="both sides of a split"):
        hf_cushing.prepare(leaking, tmp_path / "out", num_proc=1, **options)
    report = hf_cushing.prepare(leaking, tmp_path / "out", num_proc=1, allow=True, **options)
    assert len(report.kept) == 12


def test_packaged_metric_is_loaded_by_its_path():
    import evaluate

    metric = evaluate.load(hf_cushing.subgroup_f1_path())
    found = metric.compute(predictions=[1, 0], references=[1, 0], groups=["f", "m"])
    assert found["f1"] == 1


def test_script_that_is_not_guarded_ends_with_the_remedy(clinic, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import hf_cushing\n"
        f"hf_cushing.prepare({str(clinic)!r}, 'out', identity=False, num_proc=2)\n"
    )
    done = subprocess.run(
        [sys.executable, script.name], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert 'under `if __name__ == "__main__":`' in done.stderr.splitlines()[-1], done.stderr
