"""Weighted choices, as the options write them: ``login:1,api:20,refresh:2``."""

import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mix:
    """Names and how often each comes, relative to the others."""

    names: tuple[str, ...]
    weights: tuple[int, ...]

    @classmethod
    def parse(cls, text: str, known: Sequence[str]) -> "Mix":
        """Raises ``ValueError`` with a sentence. A name that is left out never comes."""
        weights: dict[str, int] = {}
        for entry in text.split(","):
            name, colon, weight = entry.strip().partition(":")
            if name not in known:
                raise ValueError(f"{name!r} is none of {', '.join(known)}")
            if not colon or not weight.isascii() or not weight.isdigit():
                raise ValueError(f"{entry.strip()!r} must be NAME:WEIGHT, the weight a whole number")
            if name in weights:
                raise ValueError(f"{name!r} stands there twice")
            weights[name] = int(weight)
        if not any(weights.values()):
            raise ValueError("every weight is 0, so nothing would be done")
        return cls(tuple(weights), tuple(weights.values()))

    def choose(self, rng: random.Random) -> str:
        """One of the names."""
        return rng.choices(self.names, self.weights)[0]
