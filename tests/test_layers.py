"""A module imports only from its own layer and the layers below it (DESIGN.md)."""

import ast
from pathlib import Path

import pytest

import hf_cushing

PACKAGE = Path(hf_cushing.__file__).parent
LAYERS = [
    ("schema",), ("files",), ("config",), ("faces",), ("data", "evaluation"), ("models",),
    ("training",), ("explain",), ("study",), ("publish",), ("demo",), ("cli",),
]  # fmt: skip
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def imports(path):
    """Names of all modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_module_imports_only_from_lower_layers(path):
    for name in imports(path):
        pieces = name.split(".")
        if pieces[0] == "hf_cushing" and len(pieces) > 1 and pieces[1] in LEVEL:
            assert LEVEL[pieces[1]] <= LEVEL[part(path)], f"{path.name} imports {name}"
            same_level = LEVEL[pieces[1]] == LEVEL[part(path)]
            assert not same_level or pieces[1] == part(path), f"{path.name} imports {name}"


def test_every_module_belongs_to_a_layer():
    assert {part(path) for path in MODULES} <= set(LEVEL)


def test_evaluation_needs_no_torch_and_only_the_right_modules_do():
    allowed = ("models", "training", "explain")
    for path in MODULES:
        uses = {name.split(".")[0] for name in imports(path)} & {"torch", "transformers"}
        if uses and path != PACKAGE / "data" / "loading.py" and part(path) != "cli":
            assert part(path) in allowed, f"{path} imports {uses}"


def test_no_folder_shadows_a_library():
    assert not {"datasets", "evaluate"} & {path.stem for path in PACKAGE.rglob("*")} - {
        "evaluate_run"
    }
