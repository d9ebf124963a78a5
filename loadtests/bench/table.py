"""Rows of cells as a table, for a terminal and for Markdown. The first cells of rows are names, the others numbers."""

from collections.abc import Sequence


def text(columns: Sequence[str], rows: Sequence[Sequence[str]], *, names: int = 1) -> list[str]:
    """Lines of a table whose first ``names`` columns are aligned to the left."""
    table = [columns, *rows]
    widths = [max(len(row[at]) for row in table) for at in range(len(columns))]
    return [
        "  ".join(
            cell.ljust(width) if at < names else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in table
    ]


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]], *, names: int = 1) -> list[str]:
    """The same for a page."""
    rule = "|".join([*["---"] * names, *["---:"] * (len(columns) - names)])
    return [f"| {' | '.join(columns)} |", f"|{rule}|", *(f"| {' | '.join(row)} |" for row in rows)]
