"""The reading room: one face at a time, answers saved at once. Layout only.

All that a reader has answered is in the kit's store; the page holds nothing but the form and the
ticket of the case it shows, so that a reload, a second window or a killed server loses nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware

from hf_cushing.app import reading_page as page
from hf_cushing.app.login import RoomGuard
from hf_cushing.app.server import scratch_folder, serve, start
from hf_cushing.app.texts import disease_name, languages, room_words
from hf_cushing.readers.answer_store import CONFIDENCES, Answer, AnswerStore, NextCase, OutOfTurn
from hf_cushing.readers.kit import Kit, read_kit
from hf_cushing.schema import UsageError


class Room:
    """What the page's buttons do; each returns the components to change, by name.

    Parameters
    ----------
    kit : Kit
    language : str
        A code of `texts.languages`.
    """

    def __init__(self, kit: Kit, language: str = "en"):
        if language not in languages():
            raise UsageError(f"--language {language}: choose {', '.join(languages())}")
        self.kit = kit
        self.words = room_words(language)
        self.store = AnswerStore(kit)

    @property
    def disease(self) -> str:
        return disease_name(self.kit.disease, self.words)

    def welcome(self, reader: str) -> dict:
        """The page before the first case, in a pause, between the reads and at the end."""
        case = self.store.next_case(reader)
        orders = self.kit.reader(reader).orders
        total = sum(map(len, orders))
        before = total if case is None else case.number - 1
        done = before if case is None or case.read == 1 else before + len(orders[0])
        text = "end" if case is None else ("first", "second")[case.read - 1]
        lines = [self.words["hello"].format(reader=reader, done=done, total=total)]
        lines.append(self.words[text].format(disease=self.disease))
        if case:
            lines += [self.words["time"], self.words["keys"]]
        return {
            "welcome": gr.update(visible=True),
            "case": gr.update(visible=False),
            "hello": "\n\n".join(lines),
            "start": gr.update(
                visible=case is not None, value=self.words["go_on" if done else "start"]
            ),
            "photo": "",
            "model": gr.update(value="", visible=False),
        }

    def show(self, reader: str, message: str = "") -> dict:
        """The reader's next case with an empty form; the clock starts."""
        case = self.store.next_case(reader)
        if case is None:
            return self.welcome(reader)
        self.store.show(reader, case)
        return {
            "welcome": gr.update(visible=False),
            "case": gr.update(visible=True),
            "progress": self._progress(case),
            "photo": page.photo_html(self.kit.photo(case.name), self.words),
            "model": self._model(case),
            "ticket": case.ticket,
            "call": None,
            "sure": None,
            "regions": [],
            "message": message,
        }

    def answer(
        self, reader: str, ticket: str, call: str | None, sure: int | None, regions: list[str]
    ) -> dict:
        """Save, then show the next case; without an answer, or where saving fails, stay."""
        if call is None or sure is None:
            return {"message": self.words["missing_call" if call is None else "missing_sure"]}
        try:
            answer = Answer(call=call, confidence=sure, regions=tuple(regions))
            self.store.save(reader, ticket, answer)
        except OutOfTurn:
            return self.show(reader, self.words["stale"])
        except sqlite3.Error:
            return {"message": self.words["failed"]}
        case = self.store.next_case(reader)
        same_read = case is not None and ticket.startswith(f"{case.read}-")
        return self.show(reader) if same_read else self.welcome(reader)

    def _progress(self, case: NextCase) -> str:
        text = self.words["case"].format(number=case.number, total=case.total)
        text += f" · {self.words['with_model']}" if case.read == 2 else ""
        return text + page.bar_html((case.number - 1) / case.total)

    def _model(self, case: NextCase) -> dict:
        if case.read == 1:
            return gr.update(value="", visible=False)
        answer = self.kit.model_answer(case.name)
        return gr.update(value=page.model_html(answer, self.kit, self.words), visible=True)


def build(room: Room) -> gr.Blocks:
    """Lay the page out; who the reader is comes from the login, never from the page."""
    words = room.words
    parts: dict[str, gr.components.Component | gr.blocks.BlockContext] = {}
    with gr.Blocks(title=words["title"], analytics_enabled=False) as blocks:
        gr.Markdown(words["notice"], elem_id="notice")
        with gr.Column() as parts["welcome"]:
            gr.Markdown(f"## {words['title']}")
            parts["hello"] = gr.Markdown()
            parts["start"] = gr.Button(words["start"], variant="primary", elem_id="start")
            gr.Button(words["out"], link="logout", size="sm")
        with gr.Column(visible=False) as parts["case"]:
            parts |= _case(room)
        save, pause = parts.pop("save"), parts.pop("pause")

        def changed(changes: dict) -> dict:
            return {parts[name]: value for name, value in changes.items()}

        def welcome(request: gr.Request) -> dict:
            return changed(room.welcome(request.username))

        def start(request: gr.Request) -> dict:
            return changed(room.show(request.username))

        def answer(ticket, call, sure, regions, request: gr.Request) -> dict:
            return changed(room.answer(request.username, ticket, call, sure, regions))

        every = {"outputs": list(parts.values()), "show_progress": "hidden"}
        every |= {"api_visibility": "private", "concurrency_limit": 8}
        form = [parts[name] for name in ("ticket", "call", "sure", "regions")]
        up = "() => window.scrollTo(0, 0)"
        blocks.load(welcome, **every)
        pause.click(welcome, **every).then(None, js=up)
        parts["start"].click(start, **every).then(None, js=up)
        save.click(answer, form, **every).then(None, js=up)
    return blocks


def _case(room: Room) -> dict[str, gr.components.Component]:
    """The photo on the left, the form on the right; one under the other on a phone."""
    words, parts = room.words, {}
    choices = page.call_choices(room.kit, words)
    with gr.Row():
        with gr.Column(min_width=300):
            parts["progress"] = gr.HTML()
            parts["photo"] = gr.HTML()
            parts["model"] = gr.HTML(visible=False)
        with gr.Column(min_width=300):
            question = words["question" if len(choices) == 2 else "which"]
            parts["call"] = gr.Radio(
                choices, label=question.format(disease=room.disease), elem_id="call"
            )
            steps = list(zip(words["sure_steps"], CONFIDENCES, strict=True))
            parts["sure"] = gr.Radio(steps, label=words["sure"], elem_id="sure")
            with gr.Group(elem_id="parts"):
                gr.HTML(page.map_html(room.kit, words))
                parts["regions"] = gr.CheckboxGroup(
                    page.region_choices(words), label=words["regions"], elem_id="regions"
                )
            with gr.Column(elem_id="bar"):
                parts["message"] = gr.Markdown(elem_id="message")
                with gr.Row():
                    parts["save"] = gr.Button(
                        words["save"], variant="primary", elem_id="save", scale=3, min_width=180
                    )
                    parts["pause"] = gr.Button(words["pause"], elem_id="pause", min_width=80)
            parts["ticket"] = gr.Textbox(elem_id="ticket")  # hidden by the style
    return parts


def serve_room(
    folder: Path,
    *,
    host: str,
    port: int,
    language: str,
    tell: Callable[[str], None],
    root_path: str = "",
) -> None:
    """Serve a kit until Ctrl+C.

    Raises
    ------
    UserError
        Not a kit, answers of another kit, or a port that is taken.
    """
    kit = read_kit(folder)
    room = Room(kit, language)
    with scratch_folder():
        blocks = build(room)
        launch(blocks, room, host=host, port=port, root_path=root_path)
        title = f"reading room for {', '.join(kit.readers)}"
        risk = "logins and photos travel unencrypted"
        serve(blocks, title, host=host, risk=risk, tell=tell)


def launch(blocks: gr.Blocks, room: Room, *, host: str, port: int, root_path: str = "") -> None:
    """Start the server and return."""
    start(
        blocks.queue(api_open=False),
        host=host,
        port=port,
        root_path=root_path,
        guard=Middleware(RoomGuard, kit=room.kit, words=room.words),
        auth=room.kit.admits,
        max_file_size="1kb",
        footer_links=[],
        css=page.style(),
        head=page.head(),
    )
