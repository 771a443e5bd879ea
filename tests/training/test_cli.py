import pytest

from hf_cushing.schema import UserError
from hf_cushing.training.cli import main, parse

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
        "finetune: lora",
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
    parts = ("--dataset, --model, --output_dir must be given", "--epochs 0", "--warmup 2")
    assert all(part in text for part in parts)


def test_augmentation_follows_the_method_unless_chosen():
    head, full = (parse([*NEEDED, "--finetune", method]) for method in ("head", "full"))
    assert not head.training.augments("head")
    assert full.training.augments("full")
    assert parse([*NEEDED, "--augment", "true"]).training.augments("head")
    assert not parse([*NEEDED, "--augment", "false"]).training.augments("full")


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
