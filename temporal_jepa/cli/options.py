"""Flags from signatures.

A verb is a function: its parameters are its arguments and flags, its docstring is its help. A
parameter named in `GROUPS` stands for the fields of a configuration, which become flags too.
No torch and no pandas here, so that `--help` answers at once.
"""

import argparse
import difflib
import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import NoneType
from typing import Any, Literal, NoReturn, get_args, get_origin

from ..config import (
    RECIPE,
    RENAMED_READ_OPTIONS,
    VIDEO,
    PretrainConfig,
    ReadOptions,
    TemporalJEPAConfig,
    flags,
    shortened,
)
from ..files import CONFIG, read_config
from ..files.printable import printable

GROUPS: Mapping[str, type] = {
    "reading": ReadOptions,
    "training": PretrainConfig,
    "model": TemporalJEPAConfig,
}
"""Parameter of a verb -> the configuration it stands for; "model" is a dict of the given fields."""

FROM_DATA = (
    "input_dim",
    "frame",
    "resolutions",
)  # fields of the model that are no flags
FITTED = (
    "seq_len",
    "patch_len",
    "patch_size",
)  # flags whose default depends on the data
RENAMED = {**RENAMED_READ_OPTIONS, "clean": "normal_prefix"}  # old flag -> flag

METAVARS = {
    "data": "FILE",
    "train": "FILE",
    "test": "FILE",
    "among": "FILE",
    "config": "FILE",
    "run": "RUN",
    "init_from": "RUN",
    "normal_prefix": "LENGTH",
    "id": "COLUMN",
    "time": "COLUMN",
    "label": "COLUMN",
    "channel": "COLUMN",
    "values": "A,B,C",
    "missing": "A,B,C",
    "features": "A,B,C",
    "time_unit": "UNIT",
    "table": "NAME",
}
EXAMPLES = {"steps": 500, "lr": 0.002, "dim": 128}


class UsageError(Exception):
    """The command line itself is wrong: exit code 2."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise, where argparse prints the usage and exits."""
        hint = "" if ";" in message else f"; see {self.prog} --help"
        raise UsageError(message.removeprefix("argument ") + hint)


def parse(verb: Callable[..., None], words: Sequence[str]) -> dict[str, Any]:
    """The arguments with which to call a verb.

    Args:
        verb: the function.
        words: what follows the verb on the command line. Underscores in flags count as dashes.

    Returns:
        The values that were given, by parameter; each group of options as its configuration.

    Raises:
        UsageError: for an unknown flag, or a value that cannot be converted.
        SystemExit: after the help was printed for `--help`.
    """
    given = _parse(verb, words)
    # What is stored in files comes before the words of the command line, so that these win.
    if "config" in given:
        file = Path(given["config"])
        words = [*flags(_read_yaml(verb, file)), *words]
        try:
            given = _parse(verb, words)
        except UsageError as error:  # the words of the command line were right
            raise UsageError(f"--config {file}: {error}") from None
    if "resume" in given and "out" in given:
        words = [*flags(_settings_of(Path(given["out"]))), *words]
        given = _parse(verb, words)
    parameters = inspect.signature(verb).parameters
    arguments = {name: given.pop(name) for name in parameters if name in given}
    for name, kind in GROUPS.items():
        if name in parameters:
            options = {f.name: given[f.name] for f in fields(kind) if f.name in given}
            arguments[name] = options if name == "model" else kind(**options)
    return arguments


def _parse(verb: Callable[..., None], words: Sequence[str]) -> dict[str, Any]:
    parser, names = _parser(verb)
    given, unknown = parser.parse_known_args([_current(word) for word in words])
    if unknown:
        word = unknown[0].partition("=")[0]
        hint = did_you_mean(word, [_flag(name) for name in names], parser.prog)
        raise UsageError(f"unknown argument {word}{hint}")
    return vars(given)


def did_you_mean(word: str, known: Sequence[str], program: str) -> str:
    """The end of a message about an unknown word: the closest known word, or where to find all."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.55)
    return f"; did you mean {close[0]}?" if close else f"; see {program} --help"


def as_flags(text: str) -> str:
    """A message for Python in flags.

    >>> as_flags("choose layout='wide', time='' or strip_units=True")
    "choose --layout wide, --time '' or --strip-units"
    """
    names = "|".join(field.name for field in fields(ReadOptions))

    def flag(match: re.Match[str]) -> str:
        name, value = match.groups()
        if value in (None, "True"):
            return _flag(name)
        plain = re.fullmatch(r"'([\w.,/+-]+)'", value)
        return f"{_flag(name)} {plain[1] if plain else value}"

    value = r"'[^']*'|[\w.]+(?:,[\w.]+)*"
    return re.sub(rf"(?<![\w.'\"-])({names})=({value})?", flag, text)


def _read_yaml(verb: Callable[..., None], file: Path) -> dict[str, Any]:
    """The options in a file for --config, see `settings`."""
    from .settings import SettingsError, read_settings

    try:
        return read_settings(file, _switches(verb))
    except SettingsError as error:
        raise UsageError(
            f"--config {file}: expected YAML such as 'steps: 500'; {printable(str(error))}"
        ) from error


def _switches(verb: Callable[..., None]) -> set[str]:
    """The arguments of a verb, and fields of its configurations, that are true or false."""
    found = set()
    functions: list[Callable[..., Any]] = [verb, *GROUPS.values()]
    for function in functions:
        for parameter in inspect.signature(function).parameters.values():
            if parameter.annotation in (bool, bool | None):
                found.add(parameter.name)
    return found


def _settings_of(run: Path) -> dict[str, Any]:
    """All settings that a run stored in its config.json."""
    if not (run / CONFIG).is_file():
        raise FileNotFoundError(
            f"{run} holds no run to resume; start one without --resume"
        )
    config = read_config(run)
    data = config.get("data", {})
    model = {
        name: value for name, value in config["model"].items() if name not in FROM_DATA
    }
    training = config.get("pretrain", {})
    return {"data": data.get("path"), **data.get("options", {}), **training, **model}


def _current(word: str) -> str:
    """The word with dashes in its flag; a flag that has been renamed under its new name."""
    flag, equals, value = word.partition("=")
    if not flag.startswith("--"):
        return word
    name = flag[2:].replace("-", "_")
    if name in RENAMED:
        print(f"note: {flag} is now {_flag(RENAMED[name])}", file=sys.stderr)
    return _flag(RENAMED.get(name, name)) + equals + value


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _parser(verb: Callable[..., None]) -> tuple[_Parser, list[str]]:
    """The parser of a verb, and the names of its arguments and flags."""
    positional = []
    for parameter in inspect.signature(verb).parameters.values():
        if parameter.default is parameter.empty and parameter.name not in GROUPS:
            positional.append(_metavar(parameter.name))
    program = f"temporal-jepa {verb.__name__}"
    parser = _Parser(
        prog=program,
        usage=" ".join([program, *positional, "[options]"]),
        description=(inspect.getdoc(verb) or "").partition("\nArgs:")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    names: list[str] = []
    _declare(parser, verb, names)
    return parser, names


def _declare(target: Any, function: Callable[..., Any], names: list[str]) -> None:
    """Add each parameter of a verb, or field of a configuration, that is not in `names` yet."""
    import docstring_parser

    entries = docstring_parser.parse(inspect.getdoc(function) or "").params
    texts = {
        entry.arg_name: " ".join((entry.description or "").split()) for entry in entries
    }
    for parameter in inspect.signature(function).parameters.values():
        name = parameter.name
        text = texts.get(name, "").rstrip(".")
        if name in GROUPS:
            _declare(target.add_argument_group(text), GROUPS[name], names)
        elif name not in names and name not in FROM_DATA:
            names.append(name)
            default = parameter.default
            if function is TemporalJEPAConfig:
                default = _model_default(name, default)
            has_default = (
                default not in (None, parameter.empty) and default is not False
            )
            if has_default and "(default" not in text:
                text += f" (default: {default})"
            _add(target, parameter, text.replace("%", "%%"))


def _model_default(name: str, default: Any) -> str | None:
    if name in FITTED:
        return None
    text = str(RECIPE.get(name, default))
    return f"{text}; for video {VIDEO[name]}" if name in VIDEO else text


def _add(target: Any, parameter: inspect.Parameter, text: str) -> None:
    """Add one positional argument, switch or flag with a value."""
    name = parameter.name
    kinds = get_args(parameter.annotation)
    kind = (
        kinds[0] if NoneType in kinds else parameter.annotation
    )  # of `int | None`, int
    if kind is bool:
        target.add_argument(_flag(name), action="store_true", help=text)
        return
    metavar = {int: "N", float: "X"}.get(kind, _metavar(name))
    if get_origin(kind) is Literal:
        metavar = "|".join(get_args(kind))
    word = name if parameter.default is parameter.empty else _flag(name)
    convert = _converter(kind, EXAMPLES.get(name, parameter.default))
    target.add_argument(word, type=convert, metavar=metavar, help=text)


def _metavar(name: str) -> str:
    return METAVARS.get(name, name.upper())


def _converter(kind: Any, example: Any) -> Callable[[str], Any]:
    """What makes a value of a word, and says what was expected if it cannot."""
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    expected = {int: "a whole number", float: "a number"}.get(kind)
    if choices:
        expected = f"one of {', '.join(choices)}"

    def convert(word: str) -> Any:
        if expected is None or word in choices:
            return word
        try:
            if not choices:
                return kind(word)
        except ValueError:
            pass
        hint = f"; for example {example}" if example else ""
        got = shortened(word)
        raise argparse.ArgumentTypeError(f"expected {expected}, got {got}{hint}")

    return convert
