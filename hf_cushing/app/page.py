"""What the tabs share: the model, uploads in memory, and words that follow the language."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from hf_cushing.app import texts
from hf_cushing.app.served_model import ServedModel
from hf_cushing.app.vault import Vault
from hf_cushing.faces.photo import PhotoError
from hf_cushing.faces.uploads import MAX_PHOTO_BYTES, MAX_PHOTOS, ArchiveError
from hf_cushing.predict.batch import PhotoSource

AT_ONCE = 4
"""Single photos in work at once; while one waits for the network another's face is found."""

GONE = PhotoError("gone", "the upload has waited too long and was forgotten; send it again")
"""Stands for an upload that waited too long."""

QUEUES = {
    "photo": {"concurrency_id": "photo", "concurrency_limit": AT_ONCE},
    "batch": {"concurrency_id": "batch", "concurrency_limit": 1},
}

FORGET = 3600
"""Seconds after which what is kept of a visitor's photos is dropped."""

INTO_VIEW = """((name) => {
  const result = document.getElementById(name);
  if (result.getBoundingClientRect().top > 0.6 * innerHeight) result.scrollIntoView();
})"""

Words = dict[str, Any]
Text = str | Callable[[Words], Any]


class Page:
    """The model, and the components whose words change with the language; see `say`.

    Parameters
    ----------
    model : ServedModel
    vault : Vault

    Attributes
    ----------
    accepted : gradio.State
        Whether this visitor accepted the notice.
    language : gradio.Radio
        Not laid out yet.
    """

    def __init__(self, model: ServedModel, vault: Vault):
        self.model, self.vault = model, vault
        self.worded: list[tuple[Any, dict[str, Text]]] = []
        self.accepted = gr.State(False)
        self.language = self.say(
            gr.Radio(
                [(words["name"], code) for code, words in texts.languages().items()],
                value="en",
                elem_id="language",
                min_width=200,
                scale=0,
                render=False,
            ),
            label="language",
        )

    def say(self, component: Any, **words: Text) -> Any:
        """Give a component words by property: a key of the texts, or a function of them."""
        self.worded.append((component, words))
        for name, value in _in_words(words, texts.space_words("en")).items():
            setattr(component, name, value)
        return component

    def result(self, name: str) -> gr.HTML:
        """A place where results appear, read out by screen readers."""
        start = waiting(texts.space_words("en"))
        return gr.HTML(start, elem_id=name, elem_classes="result", padding=False)

    def relabel(self, language: str) -> list[Any]:
        """Updates for all `worded` components, in their order."""
        words = texts.space_words(language)
        return [gr.update(**_in_words(wanted, words)) for _, wanted in self.worded]

    def diseases(self, words: Words) -> str:
        """All diseases in a sentence."""
        return texts.diseases_of(self.model.run.diseases, words)

    def sex_choice(self, name: str) -> gr.Radio:
        """The question for the sex, which decides threshold and limits."""
        sexes = ("unknown", "female", "male")
        return self.say(
            gr.Radio(sexes, value="unknown", elem_id=name),
            label="sex",
            info="sex_info",
            choices=lambda words: [(words[sex], sex) for sex in sexes],
        )

    def uploads(self, payload: Any, sex: str = "unknown") -> list[PhotoSource]:
        """The files of an upload component, as it sends them; they are forgotten with that."""
        files = payload if isinstance(payload, list) else [payload]
        return [self._upload(file, sex) for file in files if file is not None]

    def _upload(self, file: Any, sex: str) -> PhotoSource:
        """Anything but an upload is as if it were forgotten."""
        path = file.get("path") if isinstance(file, dict) else None
        if not isinstance(path, str):
            return PhotoSource("", GONE, sex)
        data = self.vault.take(path)
        return PhotoSource(
            file.get("orig_name") or Path(path).name, GONE if data is None else data, sex
        )

    def on_upload(
        self,
        files: Any,
        judge: Callable[..., tuple[Any, str]],
        inputs: Sequence[Any],
        kept: gr.State,
        result: gr.HTML,
        *,
        queue: str,
    ) -> None:
        """Show in `result` what `judge` makes of uploads.

        Parameters
        ----------
        files : gradio.File or gradio.Image
            Emptied at once.
        judge : callable
            Takes the uploads, the words of the language, a `gradio.Progress`, and the values of
            all `inputs`; gives what is kept and HTML.
        inputs : sequence of components
        queue : str
            Of `QUEUES`.
        """

        def show(
            sent: Any,
            accepted: bool,
            language: str,
            progress: gr.Progress = gr.Progress(),  # noqa: B008
            *values: Any,
        ) -> tuple[None, Any, str]:
            words, uploads = texts.space_words(language), self.uploads(sent)
            if not accepted:
                return None, None, fault(words["refused"])
            try:
                return None, *judge(uploads, words, progress, *values)
            except ArchiveError as error:
                return None, None, archive_fault(error, words)

        known = [files, self.accepted, self.language, *inputs]
        quiet = {"preprocess": False, "api_visibility": "private", **QUEUES[queue]}
        shown = files.upload(show, known, [files, kept, result], show_progress_on=result, **quiet)
        show_result(shown, result)

    def on_choice(
        self,
        draw: Callable[..., str],
        kept: gr.State,
        inputs: Sequence[Any],
        result: gr.HTML,
        *,
        queue: str,
    ) -> None:
        """Draw `result` anew from what was kept, as soon as the language or a choice changes.

        Parameters
        ----------
        draw : callable
            Takes what was kept, the words and the values of `inputs`; gives HTML.
        inputs : sequence of components
            The choices.
        """

        def show(kept: Any, language: str, *values: Any) -> str:
            words = texts.space_words(language)
            return draw(kept, words, *values) if kept else waiting(words)

        gr.on(
            [self.language.change, *(choice.input for choice in inputs)],
            show,
            [kept, self.language, *inputs],
            [result],
            api_visibility="private",
            show_progress="hidden",
            trigger_mode="always_last",  # a number is typed faster than it is drawn
            **QUEUES[queue],
        )


def _in_words(wanted: dict[str, Text], words: Words) -> dict[str, Any]:
    return {
        name: words[text] if isinstance(text, str) else text(words) for name, text in wanted.items()
    }


def show_result(event: Any, result: gr.HTML) -> None:
    """Bring the result into view where it is below the screen, as on a phone."""
    event.then(None, js=f"() => {INTO_VIEW}('{result.elem_id}')")


def fault(text: str) -> str:
    """A message that something is wrong, read out at once."""
    return f'<div class="fault" role="alert">{html.escape(text)}</div>'


def archive_fault(error: ArchiveError, words: Words) -> str:
    """Why an archive was refused."""
    rows = getattr(error, "rows", "")
    return fault(words[f"archive_{error.reason}"].format(count=MAX_PHOTOS, rows=rows))


def limits_of(words: Words, key: str, count: int) -> str:
    """A sentence with the limits of uploads."""
    return words[key].format(count=count, size=MAX_PHOTO_BYTES // 1_000_000)


def waiting(words: Words) -> str:
    """What stands where a result will appear."""
    return f'<p class="waiting" role="status">{html.escape(words["waiting"])}</p>'
