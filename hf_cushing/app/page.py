"""What the tabs share: the model, uploads in memory, and words that follow the language."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from hf_cushing.app import texts
from hf_cushing.app.vault import Vault
from hf_cushing.faces.photo import PhotoError
from hf_cushing.faces.uploads import MAX_PHOTO_BYTES, MAX_PHOTOS, ArchiveError, open_upload
from hf_cushing.predict.answer import Reading, read_photos
from hf_cushing.predict.model import Service

AT_ONCE = 4
"""Single photos in work at once; while one waits for the network another's face is found."""

Words = dict[str, Any]
Text = str | Callable[[Words], Any]


@dataclass(frozen=True)
class Upload:
    """A file that somebody sent.

    Attributes
    ----------
    name : str
    data : bytes or None
        None: it waited too long and was forgotten.
    """

    name: str
    data: bytes | None


@dataclass(frozen=True)
class Row:
    """A photo with its reading, or why there is none.

    Attributes
    ----------
    name : str
    reading : Reading or None
    reason, message : str
        Of a `PhotoError`; empty with a reading.
    """

    name: str
    reading: Reading | None
    reason: str = ""
    message: str = ""


class Page:
    """The components whose words change with the language, and how.

    Parameters
    ----------
    service : Service
    vault : Vault
    """

    def __init__(self, service: Service, vault: Vault):
        self.service, self.vault = service, vault
        self.worded: list[tuple[Any, dict[str, Text]]] = []
        self.results: list[gr.HTML] = []

    def say(self, component: Any, **words: Text) -> Any:
        """Give a component words by property: a key of the texts, or a function of them."""
        self.worded.append((component, words))
        for name, value in self._worded(words, texts.ENGLISH).items():
            setattr(component, name, value)
        return component

    def result(self, name: str) -> gr.HTML:
        """A place where results appear, read out by screen readers; emptied with the language."""
        place = gr.HTML(elem_id=name, elem_classes="result", padding=False)
        self.results.append(place)
        return self.say(place, value=lambda w: _waiting(w))

    def relabel(self, language: str) -> list[Any]:
        """Updates for all `worded` components, in their order."""
        words = texts.LANGUAGES[language]
        return [gr.update(**self._worded(texts_of, words)) for _, texts_of in self.worded]

    @staticmethod
    def _worded(wanted: dict[str, Text], words: Words) -> dict[str, Any]:
        return {
            name: words[text] if isinstance(text, str) else text(words)
            for name, text in wanted.items()
        }

    def diseases(self, words: Words) -> str:
        """All diseases in a sentence."""
        return " / ".join(texts.disease_name(x, words) for x in self.service.diseases)

    def sex_choice(self) -> gr.Radio:
        """The question for the sex, which decides threshold and limits."""
        sexes = ("unknown", "female", "male")
        radio = gr.Radio([(texts.ENGLISH[sex], sex) for sex in sexes], value="unknown")
        return self.say(
            radio,
            label="sex",
            info="sex_info",
            choices=lambda words: [(words[sex], sex) for sex in sexes],
        )

    def uploads(self, payload: Any) -> list[Upload]:
        """The files of an upload component, as it sends them; they are forgotten with that."""
        files = payload if isinstance(payload, list) else [payload]
        return [self._upload(file) for file in files if file is not None]

    def _upload(self, file: Any) -> Upload:
        """Anything but an upload is as if it were forgotten."""
        path = file.get("path") if isinstance(file, dict) else None
        if not isinstance(path, str):
            return Upload("", None)
        return Upload(file.get("orig_name") or Path(path).name, self.vault.take(path))

    def rows(self, files: Iterable[Upload], sexes: Iterable[str]) -> Iterator[Row]:
        """Read each photo; one is decoded at a time, so that memory stays bounded."""
        files = list(files)
        photos = map(opened, files)
        for file, result in zip(files, read_photos(self.service, photos, sexes), strict=True):
            if isinstance(result, PhotoError):
                yield Row(file.name, None, result.reason, str(result))
            else:
                yield Row(file.name, result)


def opened(file: Upload) -> Image.Image | PhotoError:
    """The photo of an upload, or why there is none."""
    if file.data is None:
        return PhotoError("gone", texts.ENGLISH["gone"])
    try:
        return open_upload(file.data)
    except PhotoError as error:
        return error


def fault(text: str) -> str:
    """A message that something is wrong, read out at once."""
    return f'<div class="fault" role="alert">{html.escape(text)}</div>'


def archive_fault(error: ArchiveError, words: Words) -> str:
    """Why an archive was refused."""
    return fault(words[f"archive_{error.reason}"].format(count=MAX_PHOTOS))


def limits_of(words: Words, key: str, count: int) -> str:
    """A sentence with the limits of uploads."""
    return words[key].format(count=count, size=MAX_PHOTO_BYTES // 1_000_000)


def _waiting(words: Words) -> str:
    return f'<p class="waiting" role="status">{html.escape(words["waiting"])}</p>'
