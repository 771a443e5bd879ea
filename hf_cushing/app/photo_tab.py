"""The tab of one photo, or of a drawn face."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from hf_cushing.app import pictures, texts
from hf_cushing.app.examples import Example, draw_examples
from hf_cushing.app.page import FORGET, QUEUES, Page, Words, fault, show_result
from hf_cushing.app.photo_page import photo_page
from hf_cushing.app.seen import Seen, see
from hf_cushing.faces.photo import PhotoError
from hf_cushing.predict.batch import PhotoSource

USUAL = 1.0
"""Per cent who have the disease, until the visitor sets another share."""


def photo_tab(page: Page) -> None:
    """Lay the tab out."""
    with gr.Row():
        with gr.Column(min_width=300, scale=2):
            photo = gr.Image(
                sources=["upload", "webcam", "clipboard"],
                type="filepath",
                height=220,
                elem_id="photo",
                buttons=[],
            )
            page.say(photo, label="photo", placeholder="photo_drop")
            sex = page.sex_choice("photo_sex")
            examples = _examples(page)
            heatmap = page.say(gr.Checkbox(value=True, elem_id="heatmap"), label="heatmap")
            share = gr.Number(USUAL, minimum=0, maximum=100, step=0.1, elem_id="share")
            page.say(share, label="share_with", info="share_with_info")
        with gr.Column(min_width=300, scale=3):
            result = page.result("photo_result")
    seen, choices = gr.State(None, time_to_live=FORGET), [sex, heatmap, share]

    def judge(
        uploads: Sequence[PhotoSource], words: Words, progress: gr.Progress, *choices: object
    ) -> tuple[Seen | None, str]:
        try:
            seen = see(page.model, uploads[0])
        except PhotoError as error:
            return None, fault(words[error.reason])
        return seen, draw(seen, words, *choices)

    def draw(seen: Seen, words: Words, sex: str, heatmap: bool, share: float | None) -> str:
        return photo_page(seen, sex, heatmap=heatmap, share=share, words=words)

    page.on_upload(photo, judge, choices, seen, result, queue="photo")
    page.on_choice(draw, seen, choices, result, queue="photo")
    for button, example in examples:
        _on_example(page, button, example, (choices, seen, result), draw)


def _examples(page: Page) -> list[tuple[gr.Button, Example]]:
    """A button for each drawn face, which shows it; the style of the page puts it there."""
    page.say(gr.Markdown(elem_id="examples"), value="examples")
    pairs, styles = [], []
    with gr.Row(elem_classes="examples"):
        for number, example in enumerate(draw_examples(page.model.run.diseases)):
            button = page.say(
                gr.Button(elem_id=f"example_{number}", min_width=60), value=example.title
            )
            pairs.append((button, example))
            face = pictures.data_uri(example.photo, "image/jpeg")
            styles.append(f'#example_{number} {{ background-image: url("{face}") }}')
    gr.HTML(f"<style>{''.join(styles)}</style>", elem_id="faces")
    return pairs


def _on_example(
    page: Page,
    button: gr.Button,
    example: Example,
    places: tuple[list[Any], gr.State, gr.HTML],
    draw: Callable[..., str],
) -> None:
    """Show what the model makes of a drawn face, with the sex that it was drawn with."""
    (sex, *choices), seen, result = places

    def show(accepted: bool, language: str, *values: object) -> tuple[str, Seen | None, str]:
        words = texts.space_words(language)
        if not accepted:
            return "unknown", None, fault(words["refused"])
        found = see(page.model, PhotoSource("", example.photo), drawn=True)
        return example.sex, found, draw(found, words, example.sex, *values)

    shown = button.click(
        show,
        [page.accepted, page.language, *choices],
        [sex, seen, result],
        api_visibility="private",
        show_progress_on=[result],
        **QUEUES["photo"],
    )
    show_result(shown, result)
