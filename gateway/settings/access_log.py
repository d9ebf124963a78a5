"""The access log as the file writes it: where to, and how much of it."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator

from gateway.settings.section import Section
from gateway.settings.units import Flag, Share


def _file(value: object) -> Path | str:
    if isinstance(value, Path) or value in ("off", "stdout"):
        return value
    if not isinstance(value, str) or not value or "\0" in value or value.startswith("~") or value.endswith("/"):
        raise ValueError("must be off, stdout or the path of a file (`~` is not expanded)")
    return Path(value)


class AccessLog(Section):
    """``sample`` is the share of allowed requests that are logged; of refused ones too, if ``sample_refusals``."""

    file: Annotated[Path | Literal["off", "stdout"], BeforeValidator(_file)] = "off"
    sample: Share = 1.0
    sample_refusals: Flag = False
