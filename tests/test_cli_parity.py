"""Whatever the admin API can, the command line can: one line for each operation.

To add an operation, add its line: the command in the words after ``yett``, or ``NoCommand`` with the reason why nobody
would look for one.
"""

from dataclasses import dataclass

import click
import pytest

from gateway.admin.operations import OPERATIONS
from gateway.cli.main import main


@dataclass(frozen=True, slots=True)
class NoCommand:
    """Why there is none."""

    reason: str


PARITY: dict[str, str | NoCommand] = {
    "list_tenants": "tenant list",
    "create_tenant": "tenant create",
    "read_tenant": "tenant show",
    "change_tenant": "tenant configure",
    "suspend_tenant": "tenant disable",
    "resume_tenant": "tenant enable",
    "delete_tenant": "tenant delete",
    "list_users": "user list",
    "create_user": "user create",
    "read_user": "user show",
    "change_user": "user set-email",
    "delete_user": "user erase",
    "send_reset_letter": "user send-reset",
    "list_sessions": "user sessions",
    "end_sessions": "user end-sessions",
    "end_session": "user end-session",
    "list_factors": "user factors",
    "reset_factors": "user reset-factors",
    "unlock_user": "user unlock",
    "set_password": "user set-password",
    "list_throttles": "throttle list",
    "lift_throttle": "throttle lift",
    "give_role": "user assign",
    "take_role": "user withdraw",
    "invite": "user invite",
    "withdraw_invitations": "user uninvite",
    "list_roles": "role list",
    "create_role": "role create",
    "read_role": "role show",
    "change_role": "role set",
    "delete_role": "role delete",
    "list_groups": "group list",
    "create_group": "group create",
    "read_group": "group show",
    "change_group": "group update",
    "delete_group": "group delete",
    "list_members": "group show",
    "add_member": "group add",
    "remove_member": "group remove",
    "list_clients": "client list",
    "create_client": "client create",
    "read_client": "client show",
    "change_client": "client configure",
    "delete_client": "client delete",
    "add_client_secret": "client rotate",
    "list_signing_keys": "key list",
    "rotate_signing_key": "key rotate",
    "revoke_signing_key": "key revoke",
    "list_api_keys": "api-key list",
    "create_api_key": "api-key create",
    "read_api_key": "api-key show",
    "revoke_api_key": "api-key revoke",
    "list_events": "audit list",
    "read_event": "audit show",
    "read_checkpoint": "audit checkpoint",
    "prove_consistency": "audit consistency",
    "explain_policy": "policy explain",
    "test_policy": "policy test",
    "list_jobs": "job list",
    "run_job": NoCommand("a job runs in a process that serves, which a command at the database is not"),
    "list_routes": "route list",
    "read_limits": "limits",
    "list_sinks": "sink list",
}


def _found(words: str) -> click.Command | None:
    command: click.Command = main
    for word in words.split():
        if not isinstance(command, click.Group) or word not in command.commands:
            return None
        command = command.commands[word]
    return command


def test_every_operation_has_its_line_and_no_other() -> None:
    assert PARITY.keys() == {operation.name for operation in OPERATIONS}


@pytest.mark.parametrize("name", PARITY)
def test_the_command_is_there_or_a_reason(name: str) -> None:
    match PARITY[name]:
        case NoCommand(reason):
            assert len(reason.split()) > 3, "a sentence"
        case words:
            found = _found(words)
            assert found is not None, f"there is no `yett {words}`"
            assert not isinstance(found, click.Group), f"`yett {words}` is a group"
