"""``yett user import``: people of another system, from a file, with the password hashes that they have there.

The file is read twice: all of it is judged before the first row is written, then it is written in small transactions,
between which others write. Owns the second reading, the way back, and what is said. The first reading is
import_check.py's; what a line means, and the rows, are tenants/import_lines.py's and tenants/user_imports.py's.
"""

from itertools import islice
from pathlib import Path
from typing import Final
from uuid import UUID

import click

from gateway.cli.errors import Refused
from gateway.cli.import_check import Checked, Source, check, progress
from gateway.cli.options import Invocation, actor, command
from gateway.cli.turns import WANTED_SECONDS, Turns
from gateway.installation import Installation
from tenants.acts.by import administering
from tenants.audit_event import Event
from tenants.errors import AlreadyExists
from tenants.hash_spellings import FirebaseProject
from tenants.import_file import FORMATS, Format, ImportFile
from tenants.import_lines import Faulty, NewUser, Rules
from tenants.store import TenantStore
from tenants.tenant import Tenant
from tenants.user_imports import Import

_FEWEST, _FIRST, _MOST = 100, 1000, 5000
_FORMATS_BY_SUFFIX: Final[dict[str, Format]] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}
_EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)


@command(None, "import")
@click.option("--tenant", "slug", required=True, help="The tenant's slug.")
@click.argument("file", required=False, type=_EXISTING)
@click.option("--format", "form", type=click.Choice(FORMATS), help="Default: by the file's suffix.")
@click.option("--dry-run", is_flag=True, help="Check every line, write nothing.")
@click.option("--resume", metavar="ID", type=click.UUID, help="Go on with an import that was interrupted.")
@click.option("--undo", metavar="ID", type=click.UUID, help="Remove an import's users who have not logged in since.")
@click.option("--firebase", type=_EXISTING, help="A file with the hash_config {…} that Firebase's console shows.")
@click.option(
    "--show", default=100, show_default=True, type=click.IntRange(0), help="Name so many faulty lines; 0: all."
)
async def import_users(
    call: Invocation,
    slug: str,
    file: Path | None,
    form: Format | None,
    dry_run: bool,
    resume: UUID | None,
    undo: UUID | None,
    firebase: Path | None,
    show: int,
) -> None:
    """Import users from FILE: JSON lines, or CSV whose first line names the columns.

    \b
    Fields: name, email (one of both at least), email_verified, active,
    roles (a list; in CSV separated by spaces), password_hash, password_salt.

    Hashes are taken as bcrypt, scrypt, PBKDF2 and Argon2 in their usual forms, as Django and Keycloak (JSON of
    credentialData and secretData) have them, and Firebase's with its salt in password_salt and --firebase. They are
    replaced by our own at each user's first login.
    """
    if undo is not None:
        if file is not None or resume is not None or dry_run:
            raise click.UsageError("--undo takes an import's id and nothing else")
        await _undo(call, slug, undo)
        return
    if file is None:
        raise click.UsageError("Missing argument 'FILE'.")
    form = form or _FORMATS_BY_SUFFIX.get(file.suffix.lower())
    if form is None:
        raise click.UsageError(f"{file.name} is neither .jsonl nor .csv: say --format")
    text = "" if firebase is None else _read(firebase)
    project = None if firebase is None else FirebaseProject.parse(text)
    async with call.installation() as installation:
        tenant = await _tenant(installation, slug)
        async with installation.store.for_tenant(tenant.id, read_only=True) as store:
            rules = Rules(frozenset(role.name for role in await store.roles.list()), project)
            begun = None if resume is None else await _resumed(store, resume)
        source = Source.of(file, form, rules, text)
        checked = await check(installation, tenant, source, Checked(show), begun)
        if dry_run:
            schemes = dict(sorted(checked.schemes.items()))
            call.output.say(
                f"{checked.users:,} users can be imported into {slug}",
                users=checked.users,
                schemes=schemes,
                dry_run=True,
            )
            return
        done = await _write(call, installation, tenant, source, checked, begun)
    call.output.say(f"imported {done.lines:,} users into {slug}, import {done.id}", import_id=done.id, users=done.lines)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


async def _tenant(installation: Installation, slug: str) -> Tenant:
    tenant = await installation.directory.find(slug)
    if tenant is None:
        raise Refused(f"there is no tenant {slug!r}; `yett tenant list` shows those that there are")
    return tenant


async def _resumed(store: TenantStore, import_id: UUID) -> Import:
    found = await store.imports.get(import_id)
    if found is None:
        raise Refused(f"there is no import {import_id}")
    if found.undone_at is not None:
        raise Refused(f"import {import_id} was undone: import the file anew")
    if found.finished_at is not None:
        raise Refused(f"import {import_id} is finished: all of its {found.lines:,} users were written")
    return found


async def _write(
    call: Invocation,
    installation: Installation,
    tenant: Tenant,
    source: Source,
    checked: Checked,
    begun: Import | None,
) -> Import:
    if begun is None:
        async with installation.store.for_tenant(tenant.id) as store:
            begun = await store.imports.begin(checked.digest, checked.users)
    if not call.output.as_json:
        click.echo(f"import {begun.id}: if it is interrupted, go on with --resume {begun.id}", err=True)
    size, turns = _FIRST, Turns(polite=installation.database.is_sqlite)
    with source.path.open("rb") as file, progress("importing", checked.users) as bar:
        found = islice(source.users(ImportFile(file, source.form)), begun.written, None)
        bar.update(begun.written)
        while batch := [_good(each) for each in islice(found, size)]:
            source.refuse_if_changed()
            async with turns.next():
                begun = await _write_batch(installation, tenant, begun, batch)
            size = int(min(_MOST, max(_FEWEST, size * WANTED_SECONDS / turns.took)))
            bar.update(len(batch))
    if begun.written != begun.lines:
        raise Refused(
            f"{source.path} has fewer users than when it was checked. {begun.written:,} of {begun.lines:,} are there: "
            f"take them out with --undo {begun.id}, or go on with --resume {begun.id} and the file as it was"
        )
    return begun


def _good(found: NewUser | Faulty) -> NewUser:
    """Raises Refused for what the first reading did not find."""
    if isinstance(found, Faulty):
        raise Refused(f"line {found.line} was in order when the file was checked, and is not now: {found.reason}")
    return found


async def _write_batch(installation: Installation, tenant: Tenant, begun: Import, batch: list[NewUser]) -> Import:
    try:
        async with installation.store.for_tenant(tenant.id) as store:
            done = await store.imports.write(begun, batch)
            scopes = {role.name: role.scopes for role in await store.roles.list()}
            given = {scope for user in batch for role in user.roles for scope in scopes.get(role, ())}
            await store.audit.add(
                Event(
                    type="users.imported",
                    outcome="success",
                    actor=actor(),
                    count=len(batch),
                    details={
                        "import": str(begun.id),
                        "first_line": batch[0].line,
                        "last_line": batch[-1].line,
                        **administering(given),
                    },
                )
            )
    except AlreadyExists as error:
        raise Refused(
            f"{error}: it was made while the import ran. {begun.written:,} of {begun.lines:,} users are there: take "
            f"them out with --undo {begun.id}, or go on with --resume {begun.id} once it has another name or address"
        ) from error
    return done


async def _undo(call: Invocation, slug: str, import_id: UUID) -> None:
    removed = kept = 0
    async with call.installation() as installation:
        tenant = await _tenant(installation, slug)
        async with installation.store.for_tenant(tenant.id) as store:
            found = await store.imports.get(import_id)
            if found is None or not await store.imports.begin_undo(import_id):
                raise Refused(f"there is no import {import_id} in {slug}")
        after, more, turns = None, True, Turns(polite=installation.database.is_sqlite)
        with progress("removing", found.written) as bar:
            while more:
                async with turns.next(), installation.store.for_tenant(tenant.id) as store:
                    step = await store.imports.undo(import_id, after=after)
                    if step.removed:
                        await store.audit.add(
                            Event(
                                type="users.import_undone",
                                outcome="success",
                                actor=actor(),
                                count=step.removed,
                                details={"import": str(import_id)},
                            )
                        )
                removed, kept = removed + step.removed, kept + step.kept
                after, more = step.last, step.last is not None
                bar.update(step.removed + step.kept)
    call.output.say(
        f"removed {removed:,} users of import {import_id} from {slug}; {kept:,} who used their accounts stay",
        import_id=import_id,
        removed=removed,
        kept=kept,
    )
