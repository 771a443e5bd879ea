import csv
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.optimize import check_grad, minimize
from scipy.special import log_softmax
from transformers import AutoImageProcessor, pipeline

from hf_cushing.data.loading import load_faces
from hf_cushing.data.options import PrepareOptions
from hf_cushing.data.prepare import prepare
from hf_cushing.evaluation.command import evaluate_runs
from hf_cushing.evaluation.options import EvaluationOptions
from hf_cushing.evaluation.predictions import load_predictions
from hf_cushing.files import read_json, write_json
from hf_cushing.models.ordinal import grade_places
from hf_cushing.run import Run
from hf_cushing.schema import UsageError
from hf_cushing.stats.calibration import Temperature
from hf_cushing.training.calibrate import fold_into
from hf_cushing.training.cli import parse
from hf_cushing.training.fine_tune import fine_tune
from hf_cushing.training.ordinal import GradedRegression, fit_grades
from hf_cushing.training.probe import ProbeData
from hf_cushing.training.selection import validation_metrics
from hf_cushing.training.trainer import FaceTrainer
from tests.conftest import train_options

GRADES = ("control", "slight", "marked", "grave")
LABELS = ["control", "grave", "marked", "slight"]
PLACES = grade_places(GRADES, LABELS)
ORDINAL = ("--task", "ordinal", "--grades", ",".join(GRADES))
METHODS = {
    "full": ("tiny-resnet", "--epochs", "2", "--learning_rate", "0.003"),
    "head": ("tiny-vit", "--finetune", "head"),
    "lora": ("tiny-vit", "--finetune", "lora", "--epochs", "2"),
    "sgd": ("tiny-vit", "--finetune", "head", "--head", "linear-sgd", "--epochs", "2"),
    "lp-ft": ("tiny-vit", "--finetune", "lp-ft", "--epochs", "1"),
}


@pytest.fixture(scope="session")
def severities(clinic, tmp_path_factory):
    """The drawn cohort with grades for labels: thirds of the severity (read only)."""
    raw = tmp_path_factory.mktemp("severities") / "raw"
    shutil.copytree(clinic, raw)
    with open(clinic.with_name("truth") / "truth.csv", encoding="utf-8") as file:
        drawn = {row["file_name"]: float(row["cushing"]) for row in csv.DictReader(file)}
    with open(raw / "metadata.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    of_patient = {row["patient_id"]: drawn[row["file_name"]] for row in rows}
    cuts = np.quantile([s for s in of_patient.values() if s > 0], [1 / 3, 2 / 3])
    for row in rows:
        severity = of_patient[row["patient_id"]]
        row["label"] = GRADES[1 + int(np.digitize(severity, cuts))] if severity else "control"
    with open(raw / "metadata.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    out = raw.with_name("dataset")
    prepare(raw, out, PrepareOptions(identity=False), num_proc=1)
    return out


@pytest.fixture(scope="session")
def graded_run(severities, tmp_path_factory):
    """Finished runs by method (read only)."""
    found = {}

    def finished(method):
        if method not in found:
            out = found[method] = tmp_path_factory.mktemp(f"ordinal-{method}") / "run"
            fine_tune(options_of(severities, out, method))
        return found[method]

    return finished


def options_of(dataset, out, method, *more):
    model, *options = METHODS[method]
    return parse(train_options(dataset, out, *options, *ORDINAL, *more, model=model))


def head_of(run):
    tensors = load_file(run / "model.safetensors")
    (weight,) = (t for n, t in tensors.items() if "classifier" in n and n.endswith("weight"))
    return weight, tensors


SLOW = ("sgd", "lp-ft")


@pytest.mark.parametrize(
    "method", [pytest.param(m, marks=[pytest.mark.slow] * (m in SLOW)) for m in METHODS]
)
def test_saved_head_is_one_direction_in_a_plain_model(graded_run, method):
    weight, tensors = head_of(graded_run(method))
    assert not [name for name in tensors if "parametrization" in name]
    direction = weight[LABELS.index("grave")] / 1.5
    assert direction.abs().max() > 0
    assert torch.allclose(weight, torch.tensor(PLACES)[:, None].float() * direction, rtol=1e-4)
    if method == "lora":
        adapters = load_file(graded_run(method) / "adapter" / "adapter_model.safetensors")
        assert not [name for name in adapters if "parametrization" in name]


@pytest.mark.parametrize("method", ["full", "head"])
def test_plain_pipeline_gives_the_recorded_probability_of_each_grade(
    graded_run, severities, method
):
    run = graded_run(method)
    processor = AutoImageProcessor.from_pretrained(run, backend="pil")  # as photos were scored
    classify = pipeline("image-classification", str(run), image_processor=processor, top_k=None)
    recorded = load_predictions(run).of_split("test")
    photos = load_faces(str(severities)).roles["test"]
    for row in photos.select(range(6)):
        found = {entry["label"]: entry["score"] for entry in classify(row["image"].convert("RGB"))}
        (place,) = np.flatnonzero(recorded.photo_id == row["photo_id"])
        expected = dict(zip(recorded.labels, recorded.probabilities[place], strict=True))
        assert found == pytest.approx(expected, abs=1e-5)


def test_grades_are_recorded_and_found_again_by_evaluate(graded_run, severities):
    run = graded_run("head")
    settings = Run(run).finished_manifest["config"]["model"]
    assert (settings["task"], settings["grades"]) == ("ordinal", ",".join(GRADES))
    few = EvaluationOptions(draws=100, shuffles=100)
    written = read_json(run / "metrics.json")["grading"]
    for dataset in (None, str(severities)):
        report, _ = evaluate_runs([Run(run)], few, dataset=dataset, cpu=True)
        assert report.grading.grades == GRADES
        for row, known in zip(report.grading.rows, written["rows"], strict=True):
            for name, value in row.values.items():
                known_value = known["values"][name]["estimate"]
                assert value.estimate == pytest.approx(known_value, nan_ok=True)
    assert "kappa, quadratic weights" in (run / "README.md").read_text()


def test_runs_with_and_without_grades_are_not_pooled(graded_run, tmp_path):
    run, other = graded_run("head"), tmp_path / "other"
    other.mkdir()
    shutil.copy(run / "predictions.parquet", other)
    write_json(other / "metrics.json", read_json(run / "metrics.json") | {"grading": None})
    with pytest.raises(UsageError, match="grades in different orders, or none"):
        evaluate_runs([Run(run), Run(other)], EvaluationOptions())


class Cut(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize("method", [pytest.param("full", marks=pytest.mark.slow), "lora"])
def test_resumed_run_ends_with_the_same_head(graded_run, severities, tmp_path, monkeypatch, method):
    learn, out, steps = FaceTrainer.compute_loss, tmp_path / "run", []

    def cut(self, model, *args, **options):
        if model.training and self.state.epoch >= 1 and "--resume" not in steps:
            raise Cut
        steps.append(self.state.global_step)
        return learn(self, model, *args, **options)

    monkeypatch.setattr(FaceTrainer, "compute_loss", cut)
    with pytest.raises(Cut):
        fine_tune(options_of(severities, out, method))
    steps[:] = ["--resume"]
    fine_tune(options_of(severities, out, method, "--resume"))
    assert steps[1] > 0  # it went on, and did not begin anew
    whole, resumed = (head_of(run)[1] for run in (graded_run(method), out))
    assert all(torch.allclose(whole[name], resumed[name], atol=1e-6) for name in whole)


@pytest.mark.parametrize(
    ("grades", "fault"),
    [
        ("control,slight,marked", "--grades lacks grave"),
        ("control,slight,marked,grave,dire", "the dataset doesn't know dire"),
        ("grave,marked,slight,control", "begins with grave"),
    ],
)
def test_grades_that_do_not_fit_the_dataset_stop_a_run_before_training(
    severities, tmp_path, grades, fault
):
    config = parse(
        train_options(severities, tmp_path / "run", "--task", "ordinal", "--grades", grades)
    )
    with pytest.raises(UsageError, match=fault):
        fine_tune(config)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (("--grades", "a,b,c"), "--grades goes with --task ordinal"),
        (("--task", "ordinal"), "--grades is missing"),
        (("--task", "ordinal", "--grades", "a,b"), "three or more"),
        (("--task", "ordinal", "--grades", "a,b,c,b"), "each once"),
        ((*ORDINAL, "--mitigation", "dfr"), "without order"),
        ((*ORDINAL, "--mitigation", "group_dro", "--finetune", "head"), "or --finetune full"),
        ((*ORDINAL, "--mitigation", "group_dro", "--finetune", "lp-ft"), "or --finetune full"),
    ],
)
def test_options_that_do_not_go_with_grades_are_refused(options, fault):
    with pytest.raises(UsageError, match=fault):
        parse(train_options("d", "o", *options))


def test_temperature_keeps_the_head_one_direction(graded_run):
    facts = read_json(graded_run("head") / "manifest.json")["run"]["calibration"]
    assert facts["method"] == "temperature"
    assert facts["parameters"]["value"] != pytest.approx(1, abs=1e-3)
    head = torch.nn.Linear(3, 4)
    with torch.no_grad():
        head.weight.copy_(torch.tensor(PLACES)[:, None] * torch.randn(1, 3))
    fold_into(head, Temperature(2.0).apply)
    assert torch.linalg.matrix_rank(head.weight, rtol=1e-5) == 1


def graded_data(rng, patients=150, features=3):
    """Photos drawn from the model itself."""
    rows = rng.normal(size=(patients, features)) * 2 + 1
    logits = PLACES * (rows @ np.array([0.8, -0.4, 0.0][:features]))[:, None]
    logits += np.array([0.5, -0.5, 0.3, 0.2])
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(1)
    weights = rng.uniform(0.5, 2, patients)
    return ProbeData(rows, labels, weights, labels, np.arange(patients))


def test_fit_is_the_minimum_of_the_penalised_likelihood(rng):
    data = graded_data(rng)
    probe = fit_grades(data, places=PLACES, seed=0)
    scale, middle = data.features.std(0), data.features.mean(0)
    rows = (data.features - middle) / scale

    def loss(parameters):
        logits = PLACES * (rows @ parameters[:3])[:, None] + parameters[3:]
        own = log_softmax(logits, axis=1)[np.arange(len(rows)), data.labels]
        return -data.weights @ own + parameters[:3] @ parameters[:3] / 2 / probe.chosen_c

    direction = probe.weight[LABELS.index("grave")] / 1.5 * scale
    bias = probe.bias + probe.weight @ middle
    best = minimize(loss, np.zeros(7), method="BFGS", options={"gtol": 1e-6})
    assert loss(np.concatenate([direction, bias])) == pytest.approx(best.fun, rel=1e-6)
    assert direction == pytest.approx(best.x[:3], abs=2e-3)


def test_gradient_of_the_fit_is_that_of_its_loss(rng):
    data = graded_data(rng, patients=30)
    problem = GradedRegression(data.features, data.labels, data.weights, PLACES)
    start = rng.normal(size=problem.parameters.size)
    apart = check_grad(lambda w: problem.loss(w, 0.5)[0], lambda w: problem.loss(w, 0.5)[1], start)
    assert apart < 1e-5


def test_direction_of_the_model_is_found_again(rng):
    probe = fit_grades(graded_data(rng, patients=1500), places=PLACES, seed=0)
    direction = probe.weight[LABELS.index("grave")] / 1.5
    assert direction == pytest.approx([0.8, -0.4, 0.0], abs=0.1)
    assert np.diff(probe.bias) == pytest.approx(np.diff([0.5, -0.5, 0.3, 0.2]), abs=0.3)


def test_epoch_is_chosen_by_the_order_of_the_grades():
    labels = np.array([0, 3, 2, 1])  # control, slight, marked, grave
    sexes = np.array(["female", "male", "female", "male"])
    rising = PLACES * PLACES[labels][:, None]
    found = validation_metrics(rising, labels, sexes, places=PLACES)
    assert found["concordance"] == 1
    assert found["selection"] > 1
    falling = validation_metrics(-rising, labels, sexes, places=PLACES)
    assert falling["concordance"] == 0
    plain = validation_metrics(rising, labels, sexes)
    assert "concordance" not in plain
