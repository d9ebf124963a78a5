"""``yett demo`` as a process, and the lines that it prints for people to copy."""

import re
from pathlib import Path

from tests.e2e.eventually import eventually
from tests.e2e.server_process import ServerProcess

_LAST_LINE = "Stop with Ctrl-C."
_RUNS = re.compile(r"  (curl |[A-Z]+=\$\(curl |\S+ audit list )")


class Demo(ServerProcess):
    """A demo on these ports that keeps its data in ``folder``/data."""

    def __init__(self, port: int, management_port: int, folder: Path, **settings: str) -> None:
        self.data = folder / "data"
        arguments = ["--port", str(port), "--management-port", str(management_port), "--data", str(self.data)]
        ports = port, management_port
        super().__init__("demo", *arguments, settings=settings, ports=ports, folder=folder, installed=True)

    @property
    def banner(self) -> str:
        """What it printed, once it has printed all of it."""
        return eventually(
            lambda: text if _LAST_LINE in (text := self.out_path.read_text(encoding="utf-8")) else "",
            within=30,
            what=f"the banner: {self.log}",
        )

    @property
    def lines_to_copy(self) -> list[str]:
        """The command lines of the banner, in order. They stand two columns in, and so does the table of tenants."""
        return [line.strip() for line in self.banner.splitlines() if _RUNS.match(line)]

    @property
    def service_secrets(self) -> dict[str, str]:
        """demo-service's secret by tenant."""
        return dict(re.findall(r"^  (\S+)\s+(ycs_\S+)$", self.banner, re.MULTILINE))
