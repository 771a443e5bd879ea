"""Modules import from folders above theirs in this list, and never in a circle.

DESIGN's tree, with three differences: `training` stands under `evaluation`, since it calibrates,
chooses thresholds and reports; the one formula of F1 lies in the folder of a metric that must be
complete for `evaluate.load`, and stands before `stats`, which uses it; and the command of
`evaluation` stands before the other commands, which let it score datasets.
"""

import ast
from pathlib import Path

import pytest

import hf_cushing

PACKAGE = Path(hf_cushing.__file__).parent
COMMANDS = ("explain", "readers", "followup", "compare")
LAYERS = [
    ("schema",), ("files",), ("config",), ("faces",), ("data",), ("models",), ("heatmaps",),
    ("evaluation.subgroup_f1.f1_formula",), ("stats",), ("reports",), ("evaluation",),
    ("training",), ("run",), ("predict",), ("evaluation.command",), COMMANDS,
    ("publish",), ("app",), ("demo",), ("api",), ("cli",), ("train",),
]  # fmt: skip
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def name_of(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(path):
    """Names of all modules that a file imports, anywhere in it, also under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in inner)


OWN_IMPORTS = {
    name: sorted({found for found in imports(path) if found in MODULES})
    for name, path in MODULES.items()
}


def part(name):
    inside = name.removeprefix("hf_cushing.")
    return inside if inside in LEVEL else inside.split(".")[0]


@pytest.mark.parametrize("name", [name for name in MODULES if name != "hf_cushing"])
def test_module_imports_only_from_folders_above_it(name):
    for found in OWN_IMPORTS[name]:
        if found != "hf_cushing" and part(found) != part(name):
            assert LEVEL[part(found)] < LEVEL[part(name)], f"{name} imports {found}"


def test_every_module_belongs_to_a_layer():
    assert {part(name) for name in MODULES if name != "hf_cushing"} <= set(LEVEL)


def test_no_modules_import_each_other_in_a_circle():
    done, path = set(), []

    def visit(name):
        assert name not in path, " → ".join([*path[path.index(name) :], name])
        if name not in done:
            path.append(name)
            for found in OWN_IMPORTS[name]:
                if found != "hf_cushing":
                    visit(found)
            done.add(path.pop())

    for name in MODULES:
        visit(name)


def test_libraries_stay_in_their_folders():
    homes = {
        "torch": ("models", "heatmaps", "training", "run", "predict", "explain"),
        "transformers": ("models", "heatmaps", "training", "run", "predict", "explain"),
        "gradio": ("app",),
    }
    allowed = {"hf_cushing.data.loading", "hf_cushing.data.descriptors"}
    allowed |= {"hf_cushing.evaluation.subgroup_f1.app"}
    allowed.add("hf_cushing.publish.hub_code.hf_cushing_alignment")  # runs inside transformers
    for name, path in MODULES.items():
        for library in {found.split(".")[0] for found in imports(path)} & set(homes):
            assert name in allowed or part(name) in homes[library], f"{name} imports {library}"


def test_statistics_need_numpy_and_scipy_alone():
    for name, path in MODULES.items():
        if part(name) == "stats":
            outside = {found.split(".")[0] for found in imports(path)} - {"hf_cushing"}
            assert not outside & {"torch", "transformers", "datasets", "sklearn", "pyarrow"}, name


def test_no_module_shadows_a_library():
    assert not {"datasets", "evaluate"} & {path.stem for path in PACKAGE.rglob("*")}
