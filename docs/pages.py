"""What `mkdocs` is told about this repository: README, CONTRIBUTING and CHANGELOG are pages too."""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import normpath
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that lie outside ``docs/``."""
    for name, page in PAGES.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(text: str, page: Any, config: Any, files: Any) -> str:
    """Point links at pages; what is a file of the repository alone is named, not linked."""
    source = {new: old for old, new in PAGES.items()}.get(page.file.src_uri)
    folder = "" if source else "docs/"

    def mend(match: re.Match[str]) -> str:
        shown, target = match.groups()
        path, _, anchor = target.partition("#")
        if not path or "://" in target:
            return match[0]
        inside = normpath(folder + path)
        name = PAGES.get(inside) or inside.removeprefix("docs/")
        if inside in PAGES or inside.startswith("docs/"):
            return f"[{shown}]({name}{'#' + anchor if anchor else ''})"
        if not (ROOT / inside).exists():
            return match[0]  # `--strict` refuses it
        return shown if shown.strip("`") == inside else f"{shown} (`{inside}`)"

    return LINK.sub(mend, text)
