import os
import subprocess
import sys
from pathlib import Path

import pytest

from hf_cushing.schema import UsageError, UserError
from hf_cushing.training import launch
from hf_cushing.training.cli import main, parse, read_arguments

NEEDED = ["--dataset", "d", "--model", "m", "--output_dir", "o"]


def test_command_line_wins_over_yaml_and_yaml_over_defaults(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("epochs: 7\nseed: 3\nmodel: vit-b16\nfold: 2\n")
    config = parse(["--config", str(recipe), "--dataset", "d", "--output_dir", "o", "--seed", "9"])
    assert (config.training.epochs, config.training.seed) == (7, 9)
    assert (config.model.model, config.data.fold) == ("vit-b16", 2)
    assert config.training.patience == 8


def test_unknown_name_in_yaml_is_refused_with_the_likely_one(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("epoch: 7\n")
    with pytest.raises(UserError, match="unknown name 'epoch'; did you mean epochs"):
        parse(["--config", str(recipe), *NEEDED])


@pytest.mark.parametrize(
    "line",
    [
        "finetune: qlora",
        "init: Random",
        "imbalance: sex",
        "threshold_rule: magic",
        "epochs: 2.5",
        "cpu: 1",
    ],
)
def test_value_of_the_wrong_kind_in_yaml_is_refused(tmp_path, line):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(line + "\n")
    with pytest.raises(UserError, match=f"--{line.split(':')[0]} .*: give"):
        parse(["--config", str(recipe), *NEEDED])


def test_every_missing_and_senseless_option_is_named_at_once():
    with pytest.raises(UserError) as caught:
        parse(["--epochs", "0", "--warmup", "2"])
    text = str(caught.value)
    parts = ("--dataset, --output_dir must be given", "--epochs 0", "--warmup 2")
    assert all(part in text for part in parts)


def test_augmentation_follows_the_method_unless_chosen():
    head, full = (parse([*NEEDED, "--finetune", method]) for method in ("head", "full"))
    assert (head.augmentation, full.augmentation) == ("none", "light")
    sgd = ["--finetune", "head", "--head", "linear-sgd", "--augment", "strong"]
    assert parse([*NEEDED, *sgd]).augmentation == "strong"
    assert not parse([*NEEDED, *sgd]).uses_features
    assert parse([*NEEDED, "--augment", "none"]).augmentation == "none"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--finetune head --lora_rank 8", "--lora_rank 8 goes with --finetune lora"),
        ("--finetune full --last_n 3", "--last_n 3 goes with --finetune last_n"),
        ("--finetune full --head linear-sgd", "--head linear-sgd goes with --finetune head"),
        ("--finetune lora --layer_decay 0.8", "layer_decay 0.8 goes with .*last_n.full.lp-ft"),
        ("--finetune head --augment light", "give --views 4, or --head linear-sgd"),
        ("--finetune head --focal_gamma 2", "--focal_gamma 2.0 goes with --finetune full"),
        ("--finetune head --imbalance sample_class_sex", "a probe draws no photos"),
        ("--finetune head --drop_path 0.1", "--drop_path 0.1 goes with --finetune full"),
        ("--label_smoothing 0.1 --focal_gamma 2", "leave one out"),
        ("--views 2", "--views 2 goes with --finetune head"),
    ],
)
def test_impossible_combination_is_refused_with_the_way_out(options, words):
    with pytest.raises(UserError, match=words):
        parse([*NEEDED, *options.split()])


@pytest.mark.parametrize("method", ["head", "last_n", "lora", "full", "lp-ft"])
def test_rates_fit_the_method_unless_given(method):
    default = parse([*NEEDED, "--finetune", method]).rates
    assert all(rate > 0 for rate in default)
    given = parse([*NEEDED, "--finetune", method, "--learning_rate", "0.5"])
    assert given.rates == (0.5, default[1])


def exit_code(arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code


def test_exit_code_is_2_for_usage_and_1_for_data(tmp_path, capsys):
    assert exit_code(["--epochs", "0", *NEEDED]) == 2
    assert exit_code(["--no_such_option", *NEEDED]) == 2
    assert (
        exit_code(
            ["--dataset", str(tmp_path / "x"), *NEEDED[2:4], "--output_dir", str(tmp_path / "o")]
        )
        == 1
    )
    error = capsys.readouterr().err
    assert "no such folder; make it with `hf-cushing prepare`" in error
    assert "Traceback" not in error


@pytest.mark.parametrize("words", [["--fold", "all"], ["--fold=all"]])
def test_all_folds_can_be_asked_for_on_the_command_line_and_in_yaml(tmp_path, words):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("fold: all\n")
    for given in (words, ["--config", str(recipe)]):
        assert parse([*NEEDED, *given]).data.fold == "all"
    recipe.write_text("fold: every\n")
    with pytest.raises(UserError, match="--fold 'every': give int or all"):
        parse([*NEEDED, "--config", str(recipe)])
    assert exit_code([*NEEDED, "--fold", "every"]) == 2


def test_packaged_recipe_is_found_by_its_name_and_others_are_listed():
    assert parse([*NEEDED, "--config", "quick"]).model.finetune == "head"
    with pytest.raises(UsageError, match=r"give a YAML file, or one of .*quick"):
        parse([*NEEDED, "--config", "quikc"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--gpus 0,9", "--gpus 0,9: GPUs 0, 1 are here"),
        ("--gpus all --cpu", "contradict each other"),
        ("--gpus 0 --processes 2", "differ; give one of them"),
        ("--processes 3", "only 2 GPUs are here"),
        ("--processes 0", "give 1 or more"),
    ],
)
def test_launch_that_can_not_be_is_refused(monkeypatch, options, words):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with pytest.raises(UsageError, match=words):
        launch.launch_if_asked(read_arguments(options.split()), options.split())


@pytest.mark.parametrize(
    ("options", "here", "expected"),
    [
        ("--gpus all", 2, (2, ["0", "1"])),
        ("--gpus 1,0", 2, (2, ["1", "0"])),
        ("--processes 2", 4, (2, ["0", "1"])),
        ("--processes 2", 0, (2, [])),
        ("--processes 2 --cpu", 4, (2, [])),
    ],
)
def test_processes_are_launched_on_the_gpus_asked_for(monkeypatch, options, here, expected):
    started = []
    monkeypatch.setattr("torch.cuda.device_count", lambda: here)
    monkeypatch.setattr(launch, "_launch", lambda *given: started.append(given) or 0)
    words = options.split()
    assert launch.launch_if_asked(read_arguments(words), words) == 0
    assert started == [(*expected, words)]


def test_one_process_and_a_launched_one_train_themselves(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert launch.launch_if_asked(read_arguments(["--gpus", "1"]), []) is None
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    assert launch.launch_if_asked(read_arguments([]), []) is None
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert launch.launch_if_asked(read_arguments(["--processes", "2"]), []) is None
    with pytest.raises(UsageError, match="the launcher started 2"):
        launch.launch_if_asked(read_arguments(["--processes", "3"]), [])


ROOT = Path(__file__).parents[2]
WAYS = {
    "command": ("-m", "hf_cushing.cli", "train"),
    "module": ("-m", "hf_cushing.train"),
    "parser's module": ("-m", "hf_cushing.training.cli"),
    "script": (str(ROOT / "train.py"),),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_train_has_the_same_parser_and_exit_code(way):
    done = subprocess.run(
        [sys.executable, *WAYS[way], "--epochs", "0"],
        cwd=ROOT, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("hf-cushing: --dataset, --output_dir must be given; --epochs 0")
