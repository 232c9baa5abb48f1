"""Flags from signatures.

A verb is a function: its parameters are its arguments and flags, its docstring is its help. A
parameter named in `GROUPS` stands for the fields of a configuration, which become flags too.
No torch and no pandas here, so that `--help` answers at once.
"""

import argparse
import difflib
import inspect
import re
import shlex
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
HIDDEN = {"prepare": ("window", "stride")}
"""Verb -> flags that it knows only to say why it refuses them."""
FROM_PERSON = ("callback",)
"""Flags that run code of the user: on the command line only, never from a file."""
RENAMED = {**RENAMED_READ_OPTIONS, "clean": "normal_prefix"}  # old flag -> flag

METAVARS = {
    "data": "FILE",
    "train": "FILE",
    "test": "FILE",
    "among": "FILE",
    "reference": "FILE",
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
    "callback": "FILE.py:NAME",
    "encoder": "FILE.py:NAME",
    "tokenizer": "FILE.py:NAME",
}
EXAMPLES = {"steps": 500, "lr": 0.002, "dim": 128}

OF_ALL_VERBS = {
    "--json": "print one JSON object; notes and progress go to standard error",
    "--traceback": "show where an error came from",
}
"""Switches that `main` takes out of the words before a verb is parsed."""


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
    given = _parse_with_files(verb, words)
    parameters = inspect.signature(verb).parameters
    arguments = {name: given.pop(name) for name in parameters if name in given}
    for name, kind in GROUPS.items():
        if name in parameters:
            options = {f.name: given[f.name] for f in fields(kind) if f.name in given}
            arguments[name] = options if name == "model" else kind(**options)
    return arguments


def _parse_with_files(
    verb: Callable[..., None], words: Sequence[str]
) -> dict[str, Any]:
    """The values that were given, also those in the files that words name."""
    given = _parse(verb, words)
    # What is stored in files comes before the words of the command line, so that these win.
    if "config" in given:
        file = Path(given["config"])
        stored = flags(_read_yaml(verb, file))
        try:
            _refuse_code(_parse(verb, stored))
            words = [*stored, *words]
            given = _parse(verb, words)
        except UsageError as error:  # the words of the command line were right
            raise UsageError(f"--config {file}: {error}") from None
    if "resume" in given and "out" in given:
        settings = _settings_of(Path(given["out"]))
        if "data" not in given:
            _check_address(given["out"], settings["data"])
        stored = flags(settings)
        _refuse_code(_parse(verb, stored))
        given = _parse(verb, [*stored, *words])
    return given


def _refuse_code(given: Mapping[str, Any]) -> None:
    """UsageError for options of a file that would run code."""
    for name in FROM_PERSON:
        if name in given:
            raise UsageError(
                f"{_flag(name)} runs code, so it is taken from the command line only, not from a "
                "file; repeat it there"
            )


def _parse(verb: Callable[..., None], words: Sequence[str]) -> dict[str, Any]:
    parser, actions = _parser(verb)
    words = _with_dashed_values([_current(word) for word in words], actions)
    given, unknown = parser.parse_known_args(words)
    if unknown:
        word = unknown[0].partition("=")[0]
        hint = did_you_mean(word, [_flag(name) for name in actions], parser.prog)
        raise UsageError(f"unknown argument {word}{hint}")
    return vars(given)


def _with_dashed_values(
    words: Sequence[str], actions: Mapping[str, argparse.Action]
) -> list[str]:
    """The words, with `--missing -,none` as `--missing=-,none`: argparse takes the dash for a flag.

    All flags begin with two dashes, but `-h`.
    """
    takes_value = {
        flag
        for action in actions.values()
        if action.nargs != 0
        for flag in action.option_strings
    }
    found: list[str] = []
    for word in words:
        is_value = word.startswith("-") and word != "-h" and not word.startswith("--")
        if is_value and found and found[-1] in takes_value:
            found[-1] += f"={word}"
        else:
            found.append(word)
    return found


def did_you_mean(word: str, known: Sequence[str], program: str) -> str:
    """The end of a message about an unknown word: the closest known word, or where to find all."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.55)
    return f"; did you mean {close[0]}?" if close else f"; see {program} --help"


def as_flags(text: str) -> str:
    """A message for Python in flags.

    >>> as_flags("choose layout='wide', time='' or strip_units=True")
    "choose --layout wide, --time '' or --strip-units"
    """
    names = "|".join(["dim", *(field.name for field in fields(ReadOptions))])

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


def _check_address(run: str, path: str | None) -> None:
    """ValueError for the data of a run that is not on this machine: it must be given again."""
    from ..data.store.remote import refuse_address

    refuse_address(path, run, f"--data {shlex.quote(str(path))}")


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


def parser_of_all(
    verbs: Mapping[str, Callable[..., None]],
) -> tuple[argparse.ArgumentParser, list[argparse.Action]]:
    """One parser for the whole command line, with a parser for each verb, and all its actions."""
    program = argparse.ArgumentParser("temporal-jepa")
    program.add_argument("--version", action="store_true", help="print the version")
    parsers = program.add_subparsers(metavar="VERB")
    found: list[argparse.Action] = []
    for name, verb in verbs.items():
        parser, actions = _parser(verb)
        for switch, text in OF_ALL_VERBS.items():
            parser.add_argument(switch, action="store_true", help=text)
        parsers.add_parser(name, help=summary(verb), parents=[parser], add_help=False)
        found += actions.values()
    return program, found


def summary(verb: Callable[..., None]) -> str:
    """The first line of the help of a verb."""
    return (inspect.getdoc(verb) or "").splitlines()[0].rstrip(".")


def _parser(verb: Callable[..., None]) -> tuple[_Parser, dict[str, argparse.Action]]:
    """The parser of a verb, and its arguments and flags by name."""
    positional = []
    for parameter in inspect.signature(verb).parameters.values():
        if parameter.default is parameter.empty and parameter.name not in GROUPS:
            positional.append(_metavar(parameter.name))
    program = f"temporal-jepa {verb.__name__}"
    switches = [f"  {name:<22}{text}" for name, text in OF_ALL_VERBS.items()]
    parser = _Parser(
        prog=program,
        usage=" ".join([program, *positional, "[options]"]),
        description=(inspect.getdoc(verb) or "").partition("\nArgs:")[0],
        epilog="\n".join(["all verbs:", *switches]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    actions: dict[str, argparse.Action] = {}
    for name in HIDDEN.get(verb.__name__, ()):
        actions[name] = parser.add_argument(
            _flag(name), type=int, help=argparse.SUPPRESS
        )
    _declare(parser, verb, actions)
    return parser, actions


def _declare(
    target: Any, function: Callable[..., Any], actions: dict[str, argparse.Action]
) -> None:
    """Add each parameter of a verb, or field of a configuration, that was not added yet."""
    import docstring_parser

    entries = docstring_parser.parse(inspect.getdoc(function) or "").params
    texts = {
        entry.arg_name: _in_shell(" ".join((entry.description or "").split()))
        for entry in entries
    }
    for parameter in inspect.signature(function).parameters.values():
        name = parameter.name
        text = texts.get(name, "").rstrip(".")
        if name in GROUPS:
            _declare(target.add_argument_group(text), GROUPS[name], actions)
        elif name not in actions and name not in FROM_DATA:
            default = parameter.default
            if function is TemporalJEPAConfig:
                default = _model_default(name, default)
            has_default = (
                default not in (None, parameter.empty) and default is not False
            )
            if has_default and "(default" not in text:
                text += f" (default: {default})"
            actions[name] = _add(target, parameter, text.replace("%", "%%"))


def _in_shell(text: str) -> str:
    """A description for Python without what a shell lacks: lists and keywords.

    >>> _in_shell('columns of the values, a list or "A,B,C"')
    'columns of the values'
    """
    text = text.replace(', a list or "A,B,C"', "")
    return text.replace('log="tensorboard"', "--log tensorboard")


def _model_default(name: str, default: Any) -> str | None:
    if name in FITTED:
        return None
    text = str(RECIPE.get(name, default))
    return f"{text}; for video {VIDEO[name]}" if name in VIDEO else text


def _add(target: Any, parameter: inspect.Parameter, text: str) -> argparse.Action:
    """Add one positional argument, switch or flag with a value."""
    name = parameter.name
    kinds = get_args(parameter.annotation)
    kind = (
        kinds[0] if NoneType in kinds else parameter.annotation
    )  # of `int | None`, int
    added: argparse.Action
    if kind is bool:
        added = target.add_argument(_flag(name), action="store_true", help=text)
        return added
    if get_origin(kind) is list:  # may be repeated
        added = target.add_argument(
            _flag(name), action="append", metavar=_metavar(name), help=text
        )
        return added
    metavar = {int: "N", float: "X"}.get(kind, _metavar(name))
    choices = get_args(kind) if get_origin(kind) is Literal else None
    if choices:
        metavar = "|".join(choices)
    word = name if parameter.default is parameter.empty else _flag(name)
    default = None if parameter.default is parameter.empty else parameter.default
    convert = _converter(kind, EXAMPLES.get(name, default))
    added = target.add_argument(
        word, type=convert, metavar=metavar, choices=choices, help=text
    )
    return added


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
