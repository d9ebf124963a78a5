"""Exit codes, and how a failure reaches the person or the script that asked.

0  done
1  refused: what was asked cannot be done (there is one already, there is none, a value is wrong)
2  usage: an option is unknown, missing or malformed
3  configuration: the file or the environment has problems, each named with its place
4  installation: database, schema, roles, master key or a certificate are not in order, or an address is taken
70 a bug
"""

import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import click

from gateway import telemetry
from gateway.cli.descriptors import TooFewDescriptors
from gateway.server.certificates import CertificateProblem
from gateway.server.run import CannotListen
from gateway.settings import ConfigError
from tenants.database import DATABASE_ERRORS, UnsafeRole
from tenants.errors import StoreError
from tenants.installation import WrongMasterKey
from tenants.migrate import AdminNotAllowed, RolesMissing, SchemaMismatch
from tenants.sealing import MasterKeyProblem

_LAST = 4000  # characters
REFUSED, CONFIGURATION, INSTALLATION, BUG = 1, 3, 4, 70

_INSTALLATION = (
    MasterKeyProblem,
    SchemaMismatch,
    UnsafeRole,
    WrongMasterKey,
    RolesMissing,
    AdminNotAllowed,
    CannotListen,
    CertificateProblem,
    TooFewDescriptors,
)


class Refused(Exception):
    """A command's own "no"; its text is a sentence for the person who asked."""


class SaidNo(Exception):
    """The command has done its work and printed its result, and that is a "no": nothing more is to be told."""


@contextmanager
def reported(as_json: bool) -> Iterator[None]:
    """Turn what is expected to go wrong into a sentence on standard error and an exit code."""
    try:
        yield
    except (Refused, StoreError) as error:
        _fail("refused", str(error), REFUSED, as_json)
    except SaidNo:
        sys.exit(REFUSED)
    except ConfigError as error:
        _fail("configuration", str(error), CONFIGURATION, as_json)
    except _INSTALLATION as error:
        _fail("installation", str(error), INSTALLATION, as_json)
    except DATABASE_ERRORS as error:
        _fail(
            "installation",
            f"The database cannot be used: {type(error).__name__}. Is it up, and is the URL right?",
            INSTALLATION,
            as_json,
        )

    except (click.ClickException, click.Abort):
        raise
    except BrokenPipeError:  # whoever read our output has left
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - else the interpreter fails at its exit
        sys.exit(REFUSED)
    except OSError as error:
        _fail("refused", f"{error.filename or 'the operation'}: {error.strerror}", REFUSED, as_json)
    except Exception:  # noqa: BLE001 - a bug: told whole, with what looks like a secret masked
        click.echo(telemetry.mask(traceback.format_exc()[-_LAST:]), err=True)  # its end says what happened
        _fail("bug", "This is a bug; please report it with the lines above.", BUG, as_json)


def _fail(kind: str, message: str, code: int, as_json: bool) -> None:
    click.echo(json.dumps({"error": kind, "message": message}) if as_json else f"yett: {message}", err=True)
    sys.exit(code)
