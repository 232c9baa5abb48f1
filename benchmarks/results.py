"""Rows of a benchmark in a CSV file, to which an interrupted run appends, and Markdown tables."""

import argparse
import ast
import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


class Results:
    """A CSV file of one row per result; each row is on disk as soon as it is known.

    Args:
        path: file to write; an existing one is continued.
        columns: names of the columns.
    """

    def __init__(self, path: Path, columns: Sequence[str]):
        self.path = path
        self.columns = columns
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            with path.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerow(columns)

    def add(self, *rows: Mapping[str, Any]) -> None:
        """Append rows; a column that a row lacks stays empty."""
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self.columns).writerows(rows)

    def rows(self) -> list[dict[str, str]]:
        """All rows of the file."""
        with self.path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def done(self, *columns: str) -> set[tuple[str, ...]]:
        """The values of these columns in the rows of the file."""
        return {tuple(row[column] for column in columns) for row in self.rows()}


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for row in rows:
        lines.append("| " + " | ".join(str(cell) for cell in row) + " |")
    return "\n".join(lines)


def setting(text: str) -> tuple[str, Any]:
    """`mask=block` -> ("mask", "block"), `steps=100` -> ("steps", 100)."""
    name, _, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """A parser whose help is the docstring of the script."""
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
