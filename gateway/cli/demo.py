"""``yett demo``: two tenants, their people and an API behind the gateway, on loopback, in one command.

It is an installation like any other: a folder with yett.yaml, a master key and a SQLite database, so that every other
command works on it with ``--data``.
"""

import json
import shlex
import socket
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import click
import uvloop

from gateway import telemetry
from gateway.cli.demo_data import PASSWORD, DemoTenant, operator_invitation, seed
from gateway.cli.echo import Echo
from gateway.cli.errors import Refused
from gateway.cli.options import CONFIG_NAME, Invocation, command
from gateway.cli.serve import run
from gateway.installation import hashing_pool, open_installation
from gateway.server.configured import http_protocol
from gateway.server.limits import ServerLimits
from gateway.server.run import Listener
from gateway.settings import HostPort, Mail, Settings
from tenants import migrate
from tenants.sealing import MasterKeyExists, MasterKeys

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_MARK = "# Written by `yett demo` at each start.\n"
_CONFIG = (
    _MARK
    + """\
public_url: http://localhost:{port}
listen: 127.0.0.1:{port}
management_listen: 127.0.0.1:{management_port}
data_dir: {data}
api_hosts: ["127.0.0.1:{port}"]
unsafe_operators_by_password: true
cors: {{origins: ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"]}}
mail: {mail}
upstreams:
  echo: {{targets: ["{upstream}"], audience: "http://127.0.0.1:{port}"}}
routes:
  - name: orders-read
    match: {{path: /orders/**, methods: [GET]}}
    require: {{scopes: ["orders:read"]}}
    upstream: echo
  - name: orders-write
    match: {{path: /orders/**, methods: [POST, PUT, DELETE]}}
    require: {{scopes: ["orders:write"]}}
    upstream: echo
  - {{name: public, match: {{path: /public/**}}, require: anonymous, upstream: echo}}
  - name: admin
    match: {{path: /admin/**}}
    require: {{all: [{{scopes: [admin]}}, {{amr: [otp]}}, {{max_age: 15m}}]}}
    upstream: echo
  - {{name: ws, match: {{path: /ws}}, websocket: true, require: {{scopes: [ws]}}, upstream: echo}}
  - {{name: events, match: {{path: /events, methods: [GET]}}, require: {{scopes: ["orders:read"]}}, upstream: echo}}
  - name: files
    match: {{path: "/files/{{key}}"}}
    require: {{scopes: ["orders:read"]}}
    encoded_slash: keep
    upstream: echo
"""
)


def _server(_: click.Context, __: click.Parameter, text: str | None) -> HostPort | None:
    if text is None:
        return None
    try:
        return HostPort.parse(text, port_required=True)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} {error}") from error


@command(None, configured=False, loop_factory=uvloop.new_event_loop)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535), help="Identity and APIs.")
@click.option("--management-port", default=8081, show_default=True, type=click.IntRange(1, 65535), help="Probes.")
@click.option("--upstream", help="The API behind the gateway, http://HOST:PORT. Default: an echo that is started too.")
@click.option(
    "--smtp",
    metavar="HOST:PORT",
    callback=_server,
    help="A mail catcher on this machine that letters go to. Default: each letter is a file in the data folder's mail.",
)
async def demo(call: Invocation, port: int, management_port: int, upstream: str | None, smtp: HostPort | None) -> None:
    """Run two tenants and an API behind the gateway on loopback, and print what to try.

    Without --data it keeps everything in a new temporary folder, whose name it prints.
    """
    if smtp is not None and smtp.host not in _LOOPBACK:
        raise Refused(f"the demo's letters stay on this machine, and --smtp says {smtp}")
    data = _folder(call)
    echo = socket.create_server(("127.0.0.1", 0)) if upstream is None else None
    target = upstream or f"http://127.0.0.1:{echo.getsockname()[1] if echo else 0}"
    config = data / CONFIG_NAME
    config.write_text(
        _CONFIG.format(
            port=port,
            management_port=management_port,
            data=_quoted(data.resolve()),
            mail=_mail(data.resolve(), smtp),
            upstream=target,
        ),
        encoding="utf-8",
    )
    settings = Invocation(config, call.environ, call.output).settings()
    _refuse_what_is_no_demo(settings)
    telemetry.configure(settings.log)
    with suppress(MasterKeyExists):  # a kept folder
        MasterKeys.create(settings.master_key_file)
    await migrate.upgrade(settings.database_url.get_secret_value())
    async with open_installation(settings) as installation:
        async with hashing_pool(settings) as hashing:
            tenants = await seed(installation, hashing, audience=f"http://127.0.0.1:{port}")
        invitation = await operator_invitation(installation)
        banner = _banner(port, management_port, data, target, tenants, settings.mail, invitation)
        all_from_here = http_protocol(ServerLimits(connections_per_address=ServerLimits().connections))
        further = [] if echo is None else [Listener("echo", Echo(), inherited=echo, protocol=all_from_here)]
        await run(installation, *further, on_ready=lambda: click.echo(banner))


def _refuse_what_is_no_demo(settings: Settings) -> None:
    """The environment wins over the demo's file. Its known passwords must reach no network and no real database."""
    listening = {
        "listen": settings.listen,
        "management_listen": settings.management_listen,
        "forward_auth__listen": settings.forward_auth.listen,
    }
    for name, address in listening.items():
        if address is not None and address.host not in _LOOPBACK:
            said = name.replace("__", ".")
            raise Refused(f"the demo binds loopback only, and {said} (YETT_{name.upper()}) says {address}")
    for name in ("database_url", "master_key_file"):
        if name in settings.model_fields_set:
            raise Refused(f"the demo keeps its own: unset YETT_{name.upper()}")


def _folder(call: Invocation) -> Path:
    """A new folder, an empty one, or that of an earlier demo: a real installation must get no known passwords."""
    named = call.environ.get("YETT_DATA")
    if named is None:
        return Path(tempfile.mkdtemp(prefix="yett-demo-"))
    folder = Path(named)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    config = folder / CONFIG_NAME
    is_demo = config.is_file() and config.read_text(encoding="utf-8").startswith(_MARK)
    if not is_demo and any(folder.iterdir()):
        raise Refused(f"{folder} holds something that is no demo; name a new folder with --data (or YETT_DATA)")
    return folder


def _quoted(folder: Path) -> str:
    """As YAML, so that any folder is text."""
    return json.dumps(str(folder), ensure_ascii=False)


def _mail(data: Path, smtp: HostPort | None) -> str:
    if smtp is None:
        return f"{{directory: {_quoted(data / 'mail')}}}"
    return f"{{smtp_host: {json.dumps(smtp.host)}, smtp_port: {smtp.port}, security: none}}"


def _banner(
    port: int,
    management_port: int,
    data: Path,
    target: str,
    tenants: list[DemoTenant],
    mail: Mail,
    invitation: str | None,
) -> str:
    identity, api = f"http://localhost:{port}", f"http://127.0.0.1:{port}"
    token = (
        f"curl -s {identity}/t/{{slug}}/token -d grant_type=password -d username={{user}} "
        f'--data-urlencode "password={PASSWORD}"{{more}} '
        "| python3 -c \"import json,sys; print(json.load(sys.stdin)['access_token'])\""
    )

    def variable(name: str, slug: str, user: str, more: str = "") -> str:
        return f"{name}=$({token.format(slug=slug, user=user, more=more)})"

    rows = "\n".join(
        f"  {tenant.slug.ljust(8)}{tenant.issuer.ljust(36)}{', '.join(tenant.users)}" for tenant in tenants
    )
    secrets = "\n".join(f"  {tenant.slug.ljust(8)}{tenant.service_secret}" for tenant in tenants)
    pages = "\n".join(f"  {tenant.issuer}/login" for tenant in tenants)
    letters = mail.directory or f"smtp://{mail.smtp_host}:{mail.smtp_port}"
    operator = invitation or f"{identity}/t/platform/login (there is one already)"
    return f"""
Yett's demo is ready. Every password is `{PASSWORD}`.

  TENANT  ISSUER                              USERS
{rows}

  identity    {identity}
  API         {api}  ->  {target}
  probes      http://127.0.0.1:{management_port}/readyz
  data        {data}
  letters     {letters}

Clients of each tenant: demo-app (public, the default one) and demo-service (confidential), whose secrets are
{secrets}

Log in as a person, or sign up, in a browser; everybody has an address, as alice@acme.test:
{pages}

Administer acme as alice, once she has logged in; operators have theirs, once they have a password:
  {identity}/t/acme/admin
  http://127.0.0.1:{management_port}/console

The platform's first operator chooses a password:
  {operator}

Log in as acme's alice, and call the API with her token:
  {variable("ALICE", "acme", "alice")}
  curl -i -H "Authorization: Bearer $ALICE" {api}/orders/7

Without a token, 401; without the scope, 403; nothing needed, 200:
  curl -i {api}/orders/7
  {variable("BOB", "acme", "bob")}
  curl -i -X POST -H "Authorization: Bearer $BOB" {api}/orders
  curl -i {api}/public/x

Another tenant's user is another tenant's user to the API behind:
  {variable("CAROL", "globex", "carol")}
  curl -i -H "Authorization: Bearer $CAROL" {api}/orders/7

A route that wants a scope and a fresh second factor, 403 and then 401 (RFC 9470):
  curl -i -H "Authorization: Bearer $ALICE" {api}/admin/x
  {variable("ADMIN", "acme", "alice", " -d scope=admin")}
  curl -i -H "Authorization: Bearer $ADMIN" {api}/admin/x

A stream of events, which ends when the token expires; here after three seconds:
  curl -i -N --max-time 3 -H "Authorization: Bearer $ALICE" {api}/events || true

A WebSocket that sends all back, from the console of a browser on a page of this machine; `echo $ALICE` is the token:
  ws = new WebSocket("ws://127.0.0.1:{port}/ws", ["yett", "bearer." + token])
  ws.onopen = () => ws.send("hello"); ws.onmessage = (event) => console.log(event.data)

What was refused, and who logged in:
  {shlex.quote(sys.argv[0])} audit list --data {shlex.quote(str(data))}

Stop with Ctrl-C.
"""
