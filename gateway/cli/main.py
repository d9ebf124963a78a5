"""The command line ``yett``: its groups, and what ``--help`` says of all of them."""

import os

import click

from gateway.cli.api_key import api_key
from gateway.cli.audit import audit
from gateway.cli.audit_export import export
from gateway.cli.audit_proofs import checkpoint, consistency, prove, verifier_key
from gateway.cli.audit_show import show as show_event
from gateway.cli.audit_verify import verify
from gateway.cli.client import client
from gateway.cli.completion import completion
from gateway.cli.demo import demo
from gateway.cli.doctor.diagnosis import doctor
from gateway.cli.group import group
from gateway.cli.init import init
from gateway.cli.job import job
from gateway.cli.key import key
from gateway.cli.key_reseal import new_master, reseal
from gateway.cli.migrate import migrate
from gateway.cli.policy import policy
from gateway.cli.policy_diff import diff
from gateway.cli.policy_explain import explain
from gateway.cli.policy_test import test
from gateway.cli.registration_token import registration_token
from gateway.cli.role import role
from gateway.cli.serve import serve
from gateway.cli.shown import limits, route
from gateway.cli.sink import sink
from gateway.cli.tenant import tenant
from gateway.cli.tenant_administer import administer
from gateway.cli.tenant_delete import delete as delete_tenant
from gateway.cli.tenant_export import export as export_tenant
from gateway.cli.tenant_import import import_tenant
from gateway.cli.tenant_issuer import change_issuer
from gateway.cli.tenant_people import configure
from gateway.cli.throttle import throttle
from gateway.cli.user import user
from gateway.cli.user_access import end_session, factors
from gateway.cli.user_erase import erase
from gateway.cli.user_import import import_users
from gateway.cli.user_people import end_sessions, invite, reset_factors, send_reset, sessions, uninvite, unlock

_EPILOG = """\b
Exit codes: 0 done · 1 refused · 2 usage · 3 configuration · 4 installation
(database, schema, roles or master key not in order, or an address taken) ·
70 a bug.
Secrets are read from a prompt or from standard input, never from an argument."""


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="yett", prog_name="yett")
@click.pass_context
def main(context: click.Context) -> None:
    """Yett, the gate in front of your APIs: per-tenant login, OAuth2 scopes, an audit log, a proxy.

    Begin with `yett demo`, or with `yett init`, `yett migrate`, `yett serve`.
    """
    # Databases, exports and configurations hold what no other user of the machine should read, wherever they are put;
    # SQLite and open() leave that to this mask. It is the process's, so whoever called from inside one gets it back.
    before = os.umask(0o077)
    context.call_on_close(lambda: os.umask(before))


for _command in (
    serve,
    demo,
    init,
    migrate,
    doctor,
    completion,
    tenant,
    user,
    role,
    group,
    throttle,
    client,
    key,
    api_key,
    audit,
    sink,
    job,
    policy,
    route,
    limits,
):
    main.add_command(_command)
for _command in (explain, test, diff):
    policy.add_command(_command)
for _command in (show_event, export, checkpoint, verifier_key, prove, consistency, verify):
    audit.add_command(_command)
key.add_command(new_master)
key.add_command(reseal)
tenant.add_command(configure)
tenant.add_command(administer)
tenant.add_command(change_issuer)
tenant.add_command(delete_tenant)
tenant.add_command(export_tenant)
tenant.add_command(import_tenant)
client.add_command(registration_token)
for _command in (import_users, erase, invite, uninvite, reset_factors, unlock, send_reset):
    user.add_command(_command)
for _command in (sessions, end_sessions, end_session, factors):
    user.add_command(_command)
