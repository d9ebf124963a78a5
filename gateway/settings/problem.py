"""What is wrong with a configuration: every problem at once, each with its place. Owns no rule of its own."""

from collections.abc import Iterable
from dataclasses import dataclass

Path = tuple[str | int, ...]
"""Where a value stands in the document: mapping keys and list positions, outermost first."""


def dotted(path: Path) -> str:
    """``("routes", 2, "match", "path")`` as ``routes[2].match.path``; the document itself is the empty string."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to correct. ``line`` counts from 1 and is None where there is no line (environment, absent file).

    The message never repeats the refused value where that value may be a secret.
    """

    source: str
    line: int | None
    field: str
    message: str

    def __str__(self) -> str:
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        return f"{place}: {self.field}: {self.message}" if self.field else f"{place}: {self.message}"


class ConfigError(Exception):
    """The configuration has at least one problem; nothing of it was taken."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: list[Problem] = sorted(problems, key=lambda p: (p.source, p.line or 0, p.field, p.message))
        super().__init__(self.problems)

    def __str__(self) -> str:
        count = len(self.problems)
        head = "the configuration has a problem" if count == 1 else f"the configuration has {count} problems"
        return "\n".join([f"{head}:", *(f"  {problem}" for problem in self.problems)])
