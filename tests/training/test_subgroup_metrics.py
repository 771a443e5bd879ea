import math

import evaluate
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import EvalPrediction, Trainer, TrainingArguments

from hf_cushing.evaluation.subgroup_f1 import app
from hf_cushing.training.subgroup_metrics import subgroup_f1_metrics

METRIC = evaluate.load(app.METRIC_FILE, keep_in_memory=True)
LOGITS = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
LABELS = np.array([1, 0, 1, 0])
GROUPS = ["female", "female", "male", "male"]

rows = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from("abc")), min_size=1, max_size=15
)


@settings(max_examples=20)
@given(rows, st.sampled_from([math.nan, 0, 1]), st.integers(0, 2))
def test_agrees_with_the_evaluate_metric(rows, zero_division, positive):
    truth, called, groups = (list(column) for column in zip(*rows, strict=True))
    assume(positive in truth + called)
    options = {"zero_division": zero_division}
    compute = subgroup_f1_metrics(groups, positive=positive, **options)
    found = compute(EvalPrediction(np.eye(3)[called], np.array(truth)))
    metric = METRIC._compute(called, truth, groups, pos_label=positive, intervals=False, **options)
    expected = {f"f1_{name}": row["f1"] for name, row in metric["by_group"].items()}
    expected |= {"f1": metric["f1"], "f1_gap": metric["gap"]}
    assert found == pytest.approx(expected, nan_ok=True)


def test_class_numbers_and_tuples_of_outputs_are_understood():
    compute = subgroup_f1_metrics(GROUPS)
    expected = compute(EvalPrediction(LOGITS, LABELS))
    assert compute(EvalPrediction(LOGITS.argmax(1), LABELS)) == expected
    hidden = np.zeros((4, 7))
    assert compute(EvalPrediction((LOGITS, hidden), (LABELS,))) == expected
    assert all(type(value) is float for value in expected.values())


def test_group_without_positives_is_nan_and_has_no_part_in_the_gap():
    labels = np.array([1, 1, 0, 0, 1, 1])
    compute = subgroup_f1_metrics(["a", "a", "b", "b", "c", "c"])
    found = compute(EvalPrediction(np.array([1, 0, 0, 0, 1, 1]), labels))
    assert math.isnan(found["f1_b"])
    assert found["f1_gap"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (["female", None], r"groups\[1\] is None; name the subgroup by a word"),
        (["female", float("nan")], r"groups\[1\] is nan"),
        (["", "male"], r"groups\[0\] is ''"),
        (["gap", "male"], "other than 'gap'"),
    ],
)
def test_bad_groups_are_refused_before_training(groups, message):
    with pytest.raises(ValueError, match=message):
        subgroup_f1_metrics(groups)


def test_bad_zero_division_is_refused_before_training():
    with pytest.raises(ValueError, match="zero_division='warn': choose nan, 0 or 1"):
        subgroup_f1_metrics(GROUPS, zero_division="warn")


@pytest.mark.parametrize(
    ("logits", "labels"), [(LOGITS[:3], LABELS[:3]), (LOGITS[:, :1], LABELS), (LOGITS, LOGITS)]
)
def test_rows_that_do_not_fit_the_groups_are_refused(logits, labels):
    with pytest.raises(ValueError, match="there are 4 groups, labels of shape"):
        subgroup_f1_metrics(GROUPS)(EvalPrediction(logits, labels))


class Echo(nn.Module):
    """Gives its input as logits."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x, labels):
        logits = self.scale * x
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def test_plain_trainer_reports_f1_by_group(tmp_path):
    data = [
        {"x": torch.tensor(x, dtype=torch.float32), "labels": int(label)}
        for x, label in zip(LOGITS, LABELS, strict=True)
    ]
    trainer = Trainer(
        model=Echo(),
        args=TrainingArguments(
            str(tmp_path), use_cpu=True, report_to="none", per_device_eval_batch_size=3,
            disable_tqdm=True,
        ),
        eval_dataset=data,
        compute_metrics=subgroup_f1_metrics(GROUPS),
    )  # fmt: skip
    found = trainer.evaluate()
    assert found["eval_f1"] == pytest.approx(0.8)
    assert found["eval_f1_female"] == 1
    assert found["eval_f1_male"] == pytest.approx(2 / 3)
    assert found["eval_f1_gap"] == pytest.approx(1 / 3)
