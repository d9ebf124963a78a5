"""What a serving process does beside answering, wired: the jobs, and what is left to write at the end.

Each process follows the feed and writes what it saw and spent itself. The rest is done once for all of them: the
sequencer by whoever gets its lock, housekeeping by whoever's turn it is, letters and notices by whoever claims one.
"""

from collections.abc import Awaitable, Callable

import structlog

from gateway import detecting
from gateway.audit import Recorder
from gateway.detecting import Detecting
from gateway.health import Fitness
from gateway.housekeeping import Housekeeping
from gateway.installation import Installation
from gateway.job_list import JOBS, LOOKED_FOR
from gateway.jobs import Job
from gateway.mail.configured import configured_mailer
from gateway.oauth.backchannel import BackChannel
from gateway.place import Places
from gateway.proxy import shared_limits
from gateway.proxy.shared_limits import SharedLimits
from tenants import api_key_uses, audit_log, changes
from tenants.api_key_uses import ApiKeyUses
from tenants.database import DATABASE_ERRORS
from tenants.job_runs import JobRuns
from tenants.snapshot import Snapshot
from tenants.turns import Turns

_log = structlog.get_logger("yett.app")

_FEED_INTERVAL = 0.2
_AUDIT_INTERVAL = 0.25
_CHECKPOINT_INTERVAL = 1.0
_FORGOTTEN_TREES_INTERVAL = 10.0
_LETTERS_INTERVAL = 0.5
_NOTICES_INTERVAL = 0.5
_FITNESS_INTERVAL = 5.0


def jobs_of(
    installation: Installation,
    snapshot: Snapshot,
    recorder: Recorder,
    places: Places,
    uses: ApiKeyUses,
    fitness: Fitness,
    shared: SharedLimits | None,
) -> list[Job]:
    """Not started yet. ``shared`` where limits of routes are shared with other processes."""
    housekeeping = Housekeeping(installation.database, installation.store, installation.clock)
    turns = Turns(installation.database, installation.clock)
    runs = JobRuns(installation.database, installation.clock)
    mailer = configured_mailer(
        installation.settings,
        installation.database,
        installation.store,
        installation.clock,
        place_of=places.of,
    )
    notices = BackChannel.of(installation.settings, installation.database, installation.store, installation.clock)
    watch = Detecting(installation.database, installation.store, turns, places, installation.clock)
    letters = [] if mailer is None else [Job("letters", _LETTERS_INTERVAL, mailer.deliver)]
    limits = [] if shared is None else [Job("limits", shared_limits.INTERVAL, shared.settle)]

    # Only a full batch says that there is more: who always found something would write a transaction for each login.
    async def follow() -> bool:
        return await snapshot.poll() >= changes.BATCH

    async def observed() -> None:
        await recorder.flush()

    async def sequence() -> bool:
        return await installation.audit_log.sequence() >= audit_log.BATCH

    def in_turn(name: str, work: Callable[[], Awaitable[None]]) -> Job:
        known = JOBS[name]

        async def run() -> None:
            if await turns.take(name, known.every):
                async with runs.told(name):
                    await work()

        return Job(name, LOOKED_FOR.total_seconds(), run)

    async def erase_people() -> None:
        await housekeeping.erase_people(installation.audit_log)

    async def delete() -> None:
        await housekeeping.delete_tenants(installation.platform)

    return [
        Job("feed", _FEED_INTERVAL, follow),
        Job("observations", _AUDIT_INTERVAL, observed),
        Job("sequencer", _AUDIT_INTERVAL, sequence),
        Job("audit_trees", _CHECKPOINT_INTERVAL, installation.audit_tree.follow),
        Job("audit_trees_behind", _FORGOTTEN_TREES_INTERVAL, installation.audit_tree.grow),
        Job("detections", detecting.INTERVAL, watch.run),
        Job("forgetting", LOOKED_FOR.total_seconds(), snapshot.forget_expired),
        in_turn("keys", housekeeping.advance_keys),
        in_turn("pruning", housekeeping.prune),
        in_turn("audit_erasure", housekeeping.erase_events),
        in_turn("erasures", erase_people),
        in_turn("deletions", delete),
        Job("logouts", _NOTICES_INTERVAL, notices.deliver, notices.stop),
        Job("api_key_uses", api_key_uses.EVERY.total_seconds(), uses.write),
        Job("fitness", _FITNESS_INTERVAL, fitness.look),
        *letters,
        *limits,
    ]


async def write_what_is_left(
    installation: Installation, recorder: Recorder, uses: ApiKeyUses, shared: SharedLimits | None
) -> None:
    """Observations are in memory only, so they go out now; the outbox is kept by the database, whoever sequences it."""
    try:
        await recorder.close()
        await installation.audit_log.sequence()
        await uses.write()
        if shared is not None:
            await shared.leave()
    except DATABASE_ERRORS as error:
        _log.error("observations_lost", error=type(error).__name__)
