"""``yett completion``: the script by which a shell completes commands, options and their fixed values."""

import click
from click.shell_completion import get_completion_class

from gateway.cli.errors import Refused
from gateway.cli.options import Invocation, command

_VARIABLE = "_YETT_COMPLETE"


@command(None, configured=False)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(call: Invocation, shell: str) -> None:
    """Print the script that completes `yett` in SHELL. Nothing of an installation is read.

    \b
    bash: yett completion bash > ~/.local/share/bash-completion/completions/yett
    zsh:  yett completion zsh > "${fpath[1]}/_yett"
    fish: yett completion fish > ~/.config/fish/completions/yett.fish
    """
    program = click.get_current_context().find_root().command
    found = get_completion_class(shell)
    if found is None:
        raise Refused(f"there is no completion for {shell}")
    script = found(program, {}, "yett", _VARIABLE).source()
    call.output.say(script, shell=shell, script=script)
