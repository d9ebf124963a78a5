"""Looks at a page as it is shown to somebody: on a phone and on a desktop, in light and in dark."""

import io
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from tests.e2e.hosted import Window

Pictures = dict[str, tuple[tuple[str, str], ...]]
"""Of which view to keep a picture: its size and its scheme, by the view's name."""

SIZES = {"phone": (360, 740), "desktop": (1280, 800)}
SCHEMES = ("light", "dark")

_AXE = Axe("null")  # axe-core itself comes with each page
_ALL: dict[str, Any] = {"resultTypes": ["violations"]}
_COLOURS = {**_ALL, "runOnly": ["color-contrast", "link-in-text-block"]}  # what a scheme can change
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PICTURES = os.environ.get("YETT_TEST_SCREENSHOTS")
_COLOURS_OF_A_PICTURE = 256


@dataclass
class Inspection:
    """``seen`` are the paths of the pages that were looked at."""

    window: Window
    pictures: Pictures = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    def look(self, heading: str, name: str = "") -> None:
        """The page with this heading has no fault, however it is looked at."""
        page = self.window.page
        self.window.sees(heading)
        self.seen.add(_ID.sub("{id}", self.window.path))
        for size, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            for scheme in SCHEMES:
                page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
                found = _AXE.run(page, options=_ALL if scheme == "light" else _COLOURS)
                assert found.violations_count == 0, f"{page.url}, {size}, {scheme}: {found.generate_report()}"
                if (size, scheme) in self.pictures.get(name, ()) and _PICTURES:
                    _keep(page.screenshot(full_page=True), Path(_PICTURES, f"{name}-{size}-{scheme}.png"))
            assert page.evaluate("document.documentElement.scrollWidth") == width, f"{page.url} is too wide"


def _keep(picture: bytes, path: Path) -> None:
    """As few bytes as do: a page has few colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.quantize(_COLOURS_OF_A_PICTURE, dither=Image.Dither.NONE).save(path, optimize=True)
