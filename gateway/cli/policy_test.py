"""``yett policy test``: cases of a file against the configuration, for a pipeline."""

import time
from pathlib import Path

import click

from gateway.cli.errors import SaidNo
from gateway.cli.options import Invocation, command
from gateway.cli.policy_cases import cases
from gateway.rehearsing.gate import rehearsal
from gateway.rehearsing.words import as_fields, sentence


@command(None, "test")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
async def test(call: Invocation, file: Path) -> None:
    """Decide the cases of FILE by the configuration, and print those that are decided otherwise than they should be.

    Exits 0 where all are as expected, 1 where one is not.
    """
    settings = call.settings()
    listed = cases(file)
    gate = rehearsal(settings)
    now = time.time()
    failed = []
    for case in listed:
        found = gate.decide(case.facts(now, gate.audiences))
        wrong = case.fails(found)
        if wrong:
            failed.append({"name": case.name, "request": case.request, "failed": wrong, "found": as_fields(found)})
            if not call.output.as_json:
                told = "\n".join(f"  {sentence_of}" for sentence_of in wrong)
                call.output.say(f"FAILED {case.name}: {case.request}: {sentence(found)}\n{told}")
    call.output.say(
        f"{len(listed) - len(failed)} of {len(listed)} cases are decided as expected",
        cases=len(listed),
        failed=failed,
        config=settings.digest,
    )
    if failed:
        raise SaidNo
