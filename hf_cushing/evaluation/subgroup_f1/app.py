"""The Space of the metric: F1 by subgroup of a small table.

`evaluate.utils.launch_gradio_widget` calls `gradio.inputs`, which gradio 4 and later don't have.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import evaluate

FOLDER = Path(__file__).parent
METRIC_FILE = str(FOLDER / "subgroup_f1.py")  # the folder of a Space has another name
COLUMNS = ["prediction", "reference", "group"]
EXAMPLE = [
    ["cushing", "cushing", "female"],
    ["control", "control", "female"],
    ["cushing", "cushing", "male"],
    ["control", "cushing", "male"],
    ["control", "control", "male"],
]
NOTICE = "Research use only: not a medical device. Enter no names or other personal data."


def score(table: list[list[str]], positive: str, average: str = "binary") -> dict[str, Any]:
    """F1 by subgroup of rows as in `EXAMPLE`, with None for NaN, as JSON wants it.

    Empty rows are passed over.

    Raises
    ------
    ValueError
        The table or the label can't be used.

    Examples
    --------
    >>> score(EXAMPLE, "cushing")["worst_group"]
    'male'
    """
    rows = [[str(cell or "").strip() for cell in row] for row in table]
    rows = [row for row in rows if any(row)]
    predictions, references, groups = list(zip(*rows, strict=True)) or [()] * 3
    metric = evaluate.load(METRIC_FILE, keep_in_memory=True)
    found = metric.compute(
        predictions=predictions,
        references=references,
        groups=groups,
        pos_label=positive.strip(),
        average=average,
    )
    return _plain(found)


def _plain(found: Any) -> Any:
    if isinstance(found, dict):
        return {name: _plain(value) for name, value in found.items()}
    return None if isinstance(found, float) and math.isnan(found) else found


def build() -> Any:
    """Lay out the page, a `gradio.Interface`."""
    import gradio as gr  # only a Space needs it

    def answer(table: list[list[str]], positive: str, average: str) -> dict[str, Any]:
        try:
            return score(table, positive, average)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return gr.Interface(
        fn=answer,
        inputs=[
            gr.Dataframe(EXAMPLE, headers=COLUMNS, datatype="str", type="array", label="Examples"),
            gr.Textbox("cushing", label="Positive label (for binary)"),
            gr.Dropdown(["binary", "macro", "micro", "weighted"], label="Average"),
        ],
        outputs=gr.JSON(label="F1 by subgroup"),
        title="F1 by subgroup",
        description=NOTICE,
        article=(FOLDER / "README.md").read_text(encoding="utf-8").split("---\n", 2)[2],
        flagging_mode="never",
    )


if __name__ == "__main__":
    build().launch()
