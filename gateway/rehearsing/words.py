"""Decisions and rules in words and in JSON."""

from collections.abc import Iterator
from typing import Any, assert_never

from gateway.proxy.verdict import Verdict
from policies.access import Explanation
from policies.decision import Allow, Challenge, Decision, Deny


def sentence(found: Verdict) -> str:
    """``deny insufficient_scope``; for a route in shadow ``allow (would deny insufficient_scope)``."""
    if found.would is not None:
        return f"{found.decision} (would {found.would.decision} {found.would.reason})"
    return found.decision if found.decision == "allow" else f"{found.decision} {found.reason}"


def as_fields(found: Verdict) -> dict[str, Any]:
    """For JSON."""
    said: dict[str, Any] = {
        "decision": found.decision,
        "reason": found.reason,
        "status": found.status,
        "route": found.route,
    }
    if found.would is not None:
        said["would"] = {"decision": found.would.decision, "reason": found.would.reason}
    return said


def as_tree(explained: Explanation, *, took: bool = True) -> dict[str, Any]:
    """A rule with its decision and those of its parts; ``took`` marks the way down to what brought it about."""
    taking = [id(part) for part in explained.took]
    said: dict[str, Any] = {"rule": explained.rule.describe, **_fields(explained.decision), "took": took}
    if explained.parts:
        said["parts"] = [as_tree(part, took=took and id(part) in taking) for part in explained.parts]
    return said


def as_lines(explained: Explanation) -> Iterator[str]:
    """The same for people: a line a rule, ``>`` before those that brought it about."""
    yield from _lines(as_tree(explained), 0)


def _lines(tree: dict[str, Any], depth: int) -> Iterator[str]:
    words = [tree["decision"], tree.get("reason", "")]
    if scopes := tree.get("missing_scopes"):
        words.append(f"(missing: {' '.join(scopes)})")
    mark = ">" if tree["took"] else " "
    yield f"{mark} {'  ' * depth}{tree['rule']}: {' '.join(word for word in words if word)}"
    for part in tree.get("parts", ()):
        yield from _lines(part, depth + 1)


def _fields(decision: Decision) -> dict[str, Any]:
    match decision:
        case Allow():
            return {"decision": "allow"}
        case Deny(reason, scopes):
            missing = {"missing_scopes": sorted(scopes)} if scopes else {}
            return {"decision": "deny", "reason": reason, **missing}
        case Challenge(reason, acr_values, max_age):
            wanted: dict[str, Any] = {"acr_values": list(acr_values)} if acr_values else {}
            if max_age is not None:
                wanted["max_age"] = max_age
            return {"decision": "challenge", "reason": reason, **wanted}
        case _:
            assert_never(decision)
