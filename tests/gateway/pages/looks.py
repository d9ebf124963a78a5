"""How a page is looked at: each width and each colour scheme once, in the soak all of their pairs."""

import os
from dataclasses import dataclass
from itertools import product
from typing import Literal

Scheme = Literal["light", "dark"]
SIZES = ((360, 740), (1280, 800))
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


@dataclass(frozen=True, slots=True)
class Look:
    """A window of ``size``, width and height in pixels, of somebody who likes this scheme."""

    size: tuple[int, int]
    scheme: Scheme


LOOKS = tuple(Look(*each) for each in (product if os.environ.get("YETT_TEST_SOAK") else zip)(SIZES, SCHEMES))
