"""The Space: what a model makes of photographs, behind a notice that must be accepted.

`spaces_app/app.py` starts it on a Space, `hf-cushing app RUN` on this machine.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware

from hf_cushing.app import pictures, texts
from hf_cushing.app.about_tab import about_tab
from hf_cushing.app.batch_tab import batch_tab
from hf_cushing.app.endpoints import add_endpoints
from hf_cushing.app.followup_tab import followup_tab
from hf_cushing.app.guard import SpaceGuard
from hf_cushing.app.limits import Rate
from hf_cushing.app.page import Page, Words
from hf_cushing.app.photo_tab import photo_tab
from hf_cushing.app.served_model import ServedModel, load_model
from hf_cushing.app.server import scratch_folder, serve, start
from hf_cushing.app.vault import Vault
from hf_cushing.run import Run
from hf_cushing.schema import UserError

PER_MINUTE = 120
"""Uploads and calls a minute that one client may make; a photo takes two."""

WAITING = 64
"""Calls that may wait; more are told to come back later."""

MAX_FILE = "50mb"

LATE = 120.0
"""Seconds after a page was closed in which its last work is done."""

SESSIONS = 300
"""Visitors whose pages are remembered; calls by program each make one, too."""

NAMED = """<script>
new MutationObserver(() => document.querySelectorAll(".upload-container[aria-label]")
  .forEach((button) => button.removeAttribute("aria-label")))
  .observe(document, {childList: true, subtree: true, attributeFilter: ["aria-label"]});
</script>"""
"""A screen reader hears the text that is seen on an upload area, in the page's language."""

SET_LANGUAGE = "(code) => {{ document.documentElement.lang = {codes}[code]; }}"


def build(model: ServedModel, vault: Vault, *, drawn: bool = False) -> gr.Blocks:
    """Lay the page out.

    Parameters
    ----------
    model : ServedModel
    vault : Vault
    drawn : bool
        Say that the model was trained on drawings, even where its run does not tell.
    """
    title = texts.title_of(model.run.diseases, texts.space_words("en"))
    with gr.Blocks(title=title, analytics_enabled=False) as blocks:
        page = Page(model, vault)
        with gr.Row(elem_id="top"):
            page.say(gr.Markdown(), value=lambda w: f"# {texts.title_of(model.run.diseases, w)}")
            page.language.render()
        if drawn or model.run.drawn:
            page.say(gr.HTML(padding=False), value=_drawn)
        with gr.Column() as gate:
            page.say(gr.Markdown(), value=lambda words: _gate(page, words))
            accept = page.say(gr.Button(variant="primary", elem_id="accept"), value="accept")
        with gr.Column(visible=False) as inside:
            page.say(gr.Markdown(elem_id="notice"), value="notice")
            with gr.Tabs():
                _tabs(page)
        accept.click(
            lambda: (True, gr.update(visible=False), gr.update(visible=True)),
            outputs=[page.accepted, gate, inside],
            api_visibility="private",
            queue=False,
        )
        _follow_language(page, blocks)
        add_endpoints(page)

        def forget(request: gr.Request) -> None:
            """Drop what gradio holds of a page that was closed: it keeps results, faces and all.

            Once more later: what was still in work then is kept anew when it is done.
            """
            held = blocks.app.state_holder.session_data
            held.pop(request.session_hash, None)
            again = threading.Timer(LATE, held.pop, (request.session_hash, None))
            again.daemon = True
            again.start()

        blocks.unload(forget)
    return blocks


def _drawn(words: Words) -> str:
    return f'<p class="drawn" role="note">{words["drawn"]}</p>'


def _gate(page: Page, words: Words) -> str:
    return words["gate"].format(notice=words["notice"], diseases=page.diseases(words))


def _tabs(page: Page) -> None:
    tabs = {"photo": photo_tab, "batch": batch_tab, "followup": followup_tab, "about": about_tab}
    for name, lay_out in tabs.items():
        with gr.Tab(id=name) as tab:
            lay_out(page)
        page.say(tab, label=f"{name}_tab")


def _follow_language(page: Page, blocks: gr.Blocks) -> None:
    """Change all words with the language, which starts as the browser asks."""

    def first(request: gr.Request) -> str:
        return texts.language_of(request.headers.get("accept-language", ""))

    quiet = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
    blocks.load(first, outputs=[page.language], **quiet)
    worded = [component for component, _ in page.worded]
    page.language.change(page.relabel, [page.language], worded, **quiet)
    codes = {code: words["html_lang"] for code, words in texts.languages().items()}
    page.language.change(None, [page.language], js=SET_LANGUAGE.format(codes=json.dumps(codes)))


def launch(
    blocks: gr.Blocks,
    vault: Vault,
    *,
    host: str | None,
    port: int | None,
    root_path: str = "",
    per_minute: int = PER_MINUTE,
) -> None:
    """Start the server and return."""
    start(
        blocks.queue(max_size=WAITING, default_concurrency_limit=1),
        host=host,
        port=port,
        root_path=root_path,
        guard=Middleware(SpaceGuard, vault=vault, rate=Rate(per_minute)),
        max_file_size=MAX_FILE,
        state_session_capacity=SESSIONS,
        footer_links=["api"],
        css=pictures.STYLE.read_text(encoding="utf-8"),
        head=NAMED,
    )


def serve_app(
    run: Run,
    *,
    host: str | None,
    port: int | None,
    tell: Callable[[str], None],
    root_path: str = "",
    explanation: Path | None = None,
    followup: Path | None = None,
    per_minute: int = PER_MINUTE,
    drawn: bool = False,
) -> None:
    """Serve a model until Ctrl+C.

    Parameters
    ----------
    run : Run
    host, port : str and int, or None
        None: as the environment says, as on a Space.
    tell : callable
        Takes a line for whoever runs the server.
    root_path : str
        Under which path a proxy offers the page, as ``/cushing``.
    explanation, followup : Path, optional
        Folders of ``hf-cushing explain`` and ``hf-cushing followup``.
    per_minute : int
        Uploads and calls that one client may make.
    drawn : bool
        Say that the model was trained on drawings.

    Raises
    ------
    UserError
        No such model, or a port that is taken.
    """
    model = load_model(run, explanation=explanation, followup=followup)
    model.warm_up()
    with scratch_folder() as scratch:
        vault = Vault(scratch)
        blocks = build(model, vault, drawn=drawn)
        launch(blocks, vault, host=host, port=port, root_path=root_path, per_minute=per_minute)
        risk = "there is no login, and photos travel unencrypted"
        serve(blocks, run.title, host=host, risk=risk, tell=tell)


def main(model_id: str, *, embedded: Path) -> None:
    """Serve on a Space.

    Parameters
    ----------
    model_id : str
        Model on the Hub, unless the setting `MODEL_ID` names another.
    embedded : Path
        Run folder that is served where no model is named: one that learned from drawings.
    """
    logging.basicConfig(level=logging.INFO)
    model = os.environ.get("MODEL_ID", "").strip() or model_id
    if not model and not embedded.is_dir():
        raise SystemExit("set MODEL_ID in the Space's settings, or put a run into ./model")
    tell = logging.getLogger(__name__).info
    try:
        run = Run(model or str(embedded))
        serve_app(run, host=None, port=None, tell=tell, drawn=not model)
    except UserError as error:
        with scratch_folder() as scratch:
            blocks = _without_model(model, str(error))
            launch(blocks, Vault(scratch), host=None, port=None)
            serve(blocks, "no model", host=None, risk="", tell=tell)


def _without_model(model: str, error: str) -> gr.Blocks:
    """What visitors see, and the owner, who may not look at the log, in all languages."""
    spoken = [texts.space_words(language) for language in texts.languages()]
    with gr.Blocks(title=spoken[0]["no_model"], analytics_enabled=False) as blocks:
        gr.Markdown(
            "\n\n".join(
                f"## {words['no_model']}\n\n{words['no_model_owner'].format(model=model)}"
                for words in spoken
            )
        )
        gr.Markdown(error)
    return blocks
