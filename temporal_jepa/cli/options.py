"""Flags declared from dataclasses, and messages of the parser turned into one line for a person. No torch here."""

import argparse
import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from jsonargparse import ArgumentParser, DefaultHelpFormatter

EXAMPLES = {
    "data": "data.csv",
    "out": "runs/a",
    "init-from": "runs/a",
    "train": "train.csv",
    "test": "test.csv",
    "id": "subject",
    "time": "t",
    "label": "activity",
    "values": "x,y,z",
    "steps": "500",
    "lr": "0.002",
    "resize": "64",
    "region": "center",
    "fps": "8",
}


_NO: Mapping[str, str] = {}


class UsageError(Exception):
    """The command line itself is wrong: exit code 2."""


class _Help(DefaultHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the examples, and leaves out types (the metavar says them) and empty defaults."""

    def _expand_help(self, action: argparse.Action) -> str:
        text = re.sub(
            r"\((?:required, )?type: .*?(?:, (default: .*))?\)$",
            r"(\1)",
            super()._expand_help(action),
        )
        return re.sub(r" *\((?:default: (?:null|False))?\)$", "", text)


@dataclass(frozen=True)
class Verb:
    """A command: what its help says and how its arguments are declared. The function is found by name in `home`."""

    home: str
    usage: str
    summary: str
    examples: tuple[str, ...]
    declare: Callable[["Form"], None]


class Form:
    """The arguments of one verb, and what each of them expects, for messages."""

    def __init__(self, name: str, verb: Verb):
        lines = "\n".join(f"  temporal-jepa {line}" for line in verb.examples)
        self.parser = ArgumentParser(
            prog=f"temporal-jepa {name}",
            usage=f"temporal-jepa {name} {verb.usage}",
            exit_on_error=False,
            description=f"{verb.summary}.\n\nexamples:\n{lines}\n",
            formatter_class=_Help,
        )
        self.where: Any = self.parser
        self.kinds: dict[str, tuple[Any, Any]] = {}
        verb.declare(self)

    def group(self, title: str) -> None:
        """Arguments added from here on stand under this title."""
        self.where = self.parser.add_argument_group(title)

    def positional(self, name: str, metavar: str, text: str) -> None:
        """A required word."""
        self.where.add_argument(name, type=str, metavar=metavar, help=text)

    def flag(
        self, name: str, kind: Any, default: Any, text: str, metavar: str | None = None
    ) -> None:
        """A `--flag VALUE`; of kind bool, a `--flag` alone."""
        name = name.replace("_", "-")
        self.kinds[name] = kind, default
        if kind is bool:
            self.where.add_argument(f"--{name}", action="store_true", default=default, help=text)
        else:
            usual = (
                "|".join(get_args(_kind(kind))) if get_origin(_kind(kind)) is Literal else "TEXT"
            )
            metavar = metavar or {int: "N", float: "X"}.get(_kind(kind), usual)
            self.where.add_argument(
                f"--{name}", type=kind, default=default, metavar=metavar, help=text
            )

    def settings(
        self, kind: type, skip: Sequence[str] = (), notes: Mapping[str, str] = _NO, **defaults: Any
    ) -> None:
        """A flag for each field of a dataclass, explained by its docstring and, after it, its note."""
        import docstring_parser

        texts = {
            p.arg_name: p.description or ""
            for p in docstring_parser.parse(kind.__doc__ or "").params
        }
        for field in fields(kind):
            if field.name not in skip:
                default = defaults.get(field.name, field.default)
                form = field.type if default is not None else field.type | None  # type: ignore[operator]
                self.flag(
                    field.name,
                    form,
                    default,
                    " ".join(texts[field.name].split()).rstrip(".") + notes.get(field.name, ""),
                )

    def explain(self, message: str, file: str) -> str:
        """A message of the parser as one line that names key, value, what is expected and an example that works."""
        one = " ".join(message.split())
        if found := re.match(
            r"(?:(?:Problems parsing|Unexpected) config: *|(?='utf-8' codec))(.*)", one
        ):
            what = found[1].replace('"<unicode string>", ', "") or "the file is empty"
            return f"--config {file}: expected YAML with lines such as 'steps: 500': {what}"
        if found := re.match(r'Parser key "([\w-]+)": (.*)', one):
            name = found[1].replace("_", "-")
            if name in self.kinds and (value := re.search(r"(?:Got|Given) value: (.*)", one)):
                kind, default = self.kinds[name]
                example = f"--{name} {_example(name, kind, default)}"
                return f"--{name} expects {_words(kind)}, got {value[1].strip()!r}; for example {example}"
            return f"--{name}: {found[2]}"
        if found := re.match(r"unrecognized arguments: (\S+)", one):
            word = found[1].split("=")[0]
            if word.startswith("--"):
                return f"unknown option {word}{nearest(word[2:], [*self.kinds, 'config'], '--', self.parser.prog)}"
            return f"unexpected argument {word!r}; see {self.parser.prog} --help"
        if found := re.match(r"Option '([^']+)' is not accepted", one):
            known = [name.replace("-", "_") for name in self.kinds]
            return f"--config: unknown key {found[1]!r}{nearest(found[1], known, '', self.parser.prog)}"
        if found := re.match(r"the following arguments are required: (.*)", one):
            return f"{found[1]} is missing; usage: {self.parser.usage}"
        one = re.sub(r"^argument (\S+): expected one argument$", r"\1 expects a value", one)
        return f"{one}; see {self.parser.prog} --help"


def _kind(kind: Any) -> Any:
    """The type behind `X | None`."""
    return (
        next(k for k in get_args(kind) if k is not NoneType) if NoneType in get_args(kind) else kind
    )


def _words(kind: Any) -> str:
    if get_origin(_kind(kind)) is Literal:
        return f"one of {', '.join(get_args(_kind(kind)))}"
    return {int: "a whole number", float: "a number", bool: "true or false"}.get(
        _kind(kind), "text"
    )


def _example(name: str, kind: Any, default: Any) -> str:
    if name in EXAMPLES:
        return EXAMPLES[name]
    if isinstance(default, str | int | float) and not isinstance(default, bool):
        return str(default)
    if get_origin(_kind(kind)) is Literal:
        return str(get_args(_kind(kind))[0])
    return {int: "64", float: "0.1", bool: ""}.get(_kind(kind), "NAME")


def nearest(word: str, known: Sequence[str], prefix: str, program: str) -> str:
    """What to say after an unknown word: the known one it is nearest to, else where the known ones stand."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.55)
    return f"; did you mean {prefix}{near[0]}?" if near else f"; see {program} --help"
