"""The site's pages stand where they stand in the repository, so that one relative link holds there and on a Git host.

A hook of mkdocs (`hooks` in mkdocs.yml). mkdocs itself takes pages of one folder only: ``docs``. They keep its name
here, the pages at the root and the chart's join them, and so does every other file that one of them links to.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

_BESIDE_DOCS = ("README.md", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md", "DECISIONS.md", "helm/README.md")
_LINK = re.compile(r"\]\((?![a-z]+:)([^)#]+)")


def on_files(files: Files, config: Any) -> Files:
    """Every file of the site, by its path in the repository. The theme's own are left as they are."""
    root = Path(config.config_file_path).parent.resolve()
    docs = Path(config.docs_dir).relative_to(root)
    own = [file for file in files if file.src_dir == config.docs_dir]
    pages = {*_BESIDE_DOCS, *(str(docs / file.src_uri) for file in own)}
    linked = {path for page in pages if page.endswith(".md") for path in _linked_from(root, page)}
    for file in own:
        files.remove(file)
    for path in sorted(pages | linked):
        files.append(File(path, str(root), config.site_dir, config.use_directory_urls))
    return files


def on_page_markdown(_markdown: str, page: Any, **_: Any) -> None:
    """Who searches looks for how it is before how it came to be."""
    if page.file.src_uri in ("CHANGELOG.md", "DECISIONS.md"):
        page.meta["search"] = {"boost": 0.2}


def _linked_from(root: Path, page: str) -> set[str]:
    """The files inside of the repository that a page links to."""
    targets = {(root / page).parent / target for target in _LINK.findall((root / page).read_text(encoding="utf-8"))}
    found = (target.resolve() for target in targets)
    return {str(path.relative_to(root)) for path in found if path.is_file() and path.is_relative_to(root)}
