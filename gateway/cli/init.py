"""``yett init``: a new installation's folder, master key and first configuration."""

import json
from pathlib import Path

import click

from gateway.cli.errors import reported
from gateway.cli.options import CONFIG_NAME
from gateway.cli.output import Output
from tenants.sealing import MasterKeyExists, MasterKeys

_FOLDER = click.Path(file_okay=False, path_type=Path)
_CONFIG = """\
# Yett's configuration. docs/configuration.md names every key.
public_url: http://localhost:8080
data_dir: {data}
api_hosts: ["127.0.0.1:8080"]

upstreams: {{}}
#  orders: {{targets: ["http://127.0.0.1:9001"], audience: "http://127.0.0.1:8080"}}
routes: []
#  - name: orders-read
#    match: {{path: "/orders/**", methods: [GET]}}
#    require: {{scopes: ["orders:read"]}}
#    upstream: orders
"""


@click.command()
@click.option(
    "--data", type=_FOLDER, envvar="YETT_DATA", default=".yett", show_default=True, help="The folder to make and fill."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts instead of text for people.")
def init(data: Path, as_json: bool) -> None:
    """Make the data folder, a master key (mode 0600) and a first yett.yaml. Nothing that exists is overwritten."""
    with reported(as_json):
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        key_file, config = data / "master.key", data / CONFIG_NAME
        key_made = config_made = False
        try:
            MasterKeys.create(key_file)
            key_made = True
        except MasterKeyExists:
            MasterKeys.load(key_file)  # it has to be one
        if not config.exists():
            # Absolute, so that it means the same folder wherever a command is run; quoted, so that any folder is text.
            folder = json.dumps(str(data.resolve()), ensure_ascii=False)
            config.write_text(_CONFIG.format(data=folder), encoding="utf-8")
            config_made = True
        Output(as_json).say(
            f"{'made' if key_made else 'kept'} {key_file}: keep a copy apart from the database's backups, "
            f"for without it nothing that is sealed can be opened again\n{'made' if config_made else 'kept'} {config}\n"
            f"next: yett migrate --data {data} && yett serve --data {data}",
            master_key_file=str(key_file),
            config_file=str(config),
            created=key_made,
        )
