"""What tests ask of a command beside its answer: that it refused, and what it left in the log."""

import json
from pathlib import Path
from typing import Any

from tests.e2e.installation import Installation


def refused(here: Installation, *arguments: str | Path, says: str, stdin: str = "") -> None:
    result = here.run(*arguments, "--json", stdin=stdin)
    assert (result.code, result.out) == (1, ""), result.err
    assert says in json.loads(result.err)["message"]


def last_event(here: Installation, tenant: str = "acme") -> dict[str, Any]:
    (event,) = here.does("audit", "list", "--tenant", tenant, "--limit", "1")
    found: dict[str, Any] = event
    return found
