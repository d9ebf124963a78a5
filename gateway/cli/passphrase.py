"""The passphrase of an exported tenant: from a prompt, or one line of standard input."""

import sys

import click

passphrase_option = click.option(
    "--passphrase-stdin", "from_stdin", is_flag=True, help="Read the passphrase from standard input, one line."
)


def read_passphrase(*, from_stdin: bool, anew: bool) -> str:
    """``anew`` asks twice, since nobody can tell it afterwards."""
    if from_stdin:
        return sys.stdin.readline().removesuffix("\n")
    text: str = click.prompt("Passphrase", hide_input=True, confirmation_prompt=anew, err=True)
    return text
