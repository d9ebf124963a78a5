"""Reloading: one at a time, whole or not at all, and always with a line in the log.

Reading, checking and making ready happen in a thread, since a large file takes its time; then the new configuration is
taken within one turn of the event loop, so no request sees half of it. Owns that order; not what a setting is taken by
(the ``prepare`` that it is given), nor when to look (a signal, ``watch``, an administrator).
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from gateway.reload.fingerprint import fingerprint
from gateway.settings import Change, ConfigError, Problem, Settings, change

log = structlog.get_logger("yett.reload")
_TRIES = 3

Take = Callable[[], None]
Load = Callable[[Path | None], Settings]


@dataclass(frozen=True, slots=True)
class Reloaded:
    """``digest`` is in force. ``taken`` has changed; ``restart`` was asked for and waits for one."""

    digest: str
    taken: tuple[str, ...]
    restart: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """Everything is as it was: the new configuration has these problems."""

    digest: str
    problems: tuple[Problem, ...]


class Reloader:
    """``load`` reads the file at ``path`` (None: the environment only). ``prepare`` makes ready whatever may fail or
    take time, in a thread, and answers what takes it.
    """

    def __init__(self, path: Path | None, load: Load, running: Settings, prepare: Callable[[Settings], Take]) -> None:
        self._path = path
        self._source = "environment" if path is None else str(path)
        self._load = load
        self._prepare = prepare
        self._turn = asyncio.Lock()
        self.running = running

    async def reload(self, cause: str) -> Reloaded | Kept:
        """Take what the file says now. ``cause`` is for the log: who or what asked."""
        async with self._turn:
            before = self.running.digest
            said = "could not be taken: this is a bug"
            try:
                new, take = await asyncio.to_thread(self._made_ready)
                said = "may be in force in part: this is a bug, restart with a configuration that was in force"
                take()
            except ConfigError as error:
                return self._kept(cause, error.problems)
            except Exception:
                log.exception("config_reload_failed", cause=cause)
                return self._kept(cause, [Problem(self._source, None, "", said)])
            self.running = new.settings
            done = Reloaded(new.settings.digest, new.taken, new.restart)
            log.info("config_reloaded", cause=cause, digest=done.digest, before=before, taken=list(done.taken))
            if done.restart:
                log.warning("config_needs_restart", settings=list(done.restart))
            return done

    def _made_ready(self) -> tuple[Change, Take]:
        new = change(self.running, self._read(), source=self._source)
        return new, self._prepare(new.settings)

    def _kept(self, cause: str, problems: Sequence[Problem]) -> Kept:
        digest = self.running.digest
        log.error("config_refused", cause=cause, problems=list(map(str, problems)), digest=digest)
        return Kept(digest, tuple(problems))

    def _read(self) -> Settings:
        """The file as it was at one moment: read again where somebody wrote meanwhile."""
        for _ in range(_TRIES):
            before = fingerprint(self._path)
            if before is not None and before.empty:
                raise ConfigError([Problem(self._source, None, "", "is empty; nothing of it was taken")])
            try:
                settings = self._load(self._path)
            except ConfigError:
                if fingerprint(self._path) == before:
                    raise
            else:
                if fingerprint(self._path) == before:
                    return settings
        raise ConfigError([Problem(self._source, None, "", "is being written; nothing of it was taken")])
