import ast
import inspect
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

import hf_cushing
from hf_cushing.evaluation import subgroup_metric
from hf_cushing.evaluation.report import evaluate
from hf_cushing.evaluation.subgroup_f1 import f1_formula
from hf_cushing.evaluation.subgroup_metric import f1_by_group
from hf_cushing.stats.metrics import METRICS
from hf_cushing.training.selection import validation_metrics
from tests.evaluation.test_report import FEW, make_predictions


def test_f1_of_reports_and_epochs_is_what_the_loaded_metric_computes(rng, monkeypatch):
    class Constant:
        def compute(self, *, groups, **columns):
            return {"f1": 0.123, "gap": 0.0, "by_group": {g: {"f1": 0.456} for g in set(groups)}}

    monkeypatch.setattr(subgroup_metric, "load_metric", Constant)
    report = evaluate(make_predictions(rng), FEW)
    assert report.find("cushing", "all").values["f1"].estimate == 0.123
    assert report.find("cushing", "female").values["f1"].estimate == 0.456
    logits, labels = rng.normal(size=(20, 2)), np.arange(20) % 2
    found = validation_metrics(logits, labels, np.where(np.arange(20) < 9, "female", "male"))
    assert (found["f1"], found["f1_male"]) == (0.123, 0.456)


def test_loaded_from_the_package_without_a_network_it_agrees_with_scikit_learn(rng):
    truth, called = rng.random(90) < 0.4, rng.random(90) < 0.5
    groups = rng.choice(["female", "male", "unknown"], 90)
    whole, by_group, gap = f1_by_group(truth, called, groups)
    assert whole == pytest.approx(f1_score(truth, called))
    for name, value in by_group.items():
        assert value == pytest.approx(f1_score(truth[groups == name], called[groups == name]))
    assert gap == pytest.approx(max(by_group.values()) - min(by_group.values()))
    nobody = np.zeros(90, bool)
    assert math.isnan(f1_by_group(nobody, nobody, groups)[0])


def test_package_has_one_formula_of_f1_which_the_loaded_metric_uses_too():
    loaded = sys.modules[type(subgroup_metric.load_metric()).__module__]
    assert inspect.getsource(loaded.f1_score) == inspect.getsource(f1_formula.f1_score)
    assert METRICS["f1"].formula is f1_formula.f1_score
    doubled = []  # quotients of twice something, as 2 TP / (2 TP + FP + FN) is one
    for path in Path(hf_cushing.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
                above = node.left
                if isinstance(above, ast.BinOp) and getattr(above.left, "value", None) == 2:
                    doubled.append(path.name)
    assert doubled == ["f1_formula.py"]
