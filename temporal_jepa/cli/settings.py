"""The YAML file of `--config`: a flat list of options, read without the traps of YAML.

Of YAML are left: names, text, numbers, true, false, null and lists of them. There are no aliases (a
few lines of them can stand for 10^9 values), no tags (which make objects), no dates and no numbers
to base 60: what is no number stays the text that it is. A name stands once.
"""

import re
from collections.abc import Collection, Hashable
from pathlib import Path
from typing import Any

import yaml

from ..config import shortened
from ..files.atomic import read_file

LARGEST = 2**18  # bytes: 16,000 names of columns
DEEPEST = 3  # a list in an option


class SettingsError(Exception):
    """A file of settings cannot be read; the message says why."""


class _Loader(yaml.SafeLoader):
    """YAML without aliases, tags and repeated names, and the scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 - as PyYAML has it
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """A node; an alias, a tag or a deep list is refused."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise SettingsError(
                f"line {event.start_mark.line + 1} has an alias (& or *); write the value itself, "
                "in quotes if it is text"
            )
        if getattr(event, "tag", None) is not None:
            raise SettingsError(
                f"line {event.start_mark.line + 1} has a tag ({shortened(event.tag)}); write the "
                "value alone, in quotes if it is text"
            )
        self.depth += 1
        if self.depth > DEEPEST:
            raise SettingsError(
                f"line {event.start_mark.line + 1} has lists in lists; an option is one value, or "
                "a list of values"
            )
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        """A mapping whose names are text and stand once."""
        names = set()
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise SettingsError(f"line {line}: the name of an option must be text")
            if key.value in names:
                raise SettingsError(f"line {line}: {shortened(key.value)} stands twice")
            names.add(key.value)
            key.tag = "tag:yaml.org,2002:str"
        return super().construct_mapping(node, deep)


# The core schema of YAML 1.2: `on`, `no`, 12:30 and 2024-01-01 are text, 1e-3 is a number.
_SCALARS = {
    "null": (r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    "bool": (r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    "int": (r"^[-+]?[0-9]{1,400}$", list("-+0123456789")),
    "float": (
        r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$",
        list("-+.0123456789"),
    ),
}
for _name, (_pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_name}", re.compile(_pattern), _first
    )


def _number(loader: Any, node: Any) -> int | str:
    """A whole number; 007 and +5 stay as they are written, and option for option decides."""
    text: str = node.value
    plain = re.fullmatch(r"-?(?:0|[1-9][0-9]*)", text)
    return int(text) if plain else text


def _decimal(loader: Any, node: Any) -> str:
    """A decimal number as it is written; the option that it is for makes a number of it."""
    return str(node.value)


_Loader.add_constructor("tag:yaml.org,2002:int", _number)
_Loader.add_constructor("tag:yaml.org,2002:float", _decimal)


def read_settings(file: Path, switches: Collection[str]) -> dict[str, Any]:
    """The options in a YAML file.

    Args:
        file: at most 256 KiB.
        switches: options that are true or false.

    Returns:
        Option -> None, a bool, a number, text, or a list of numbers and texts.

    Raises:
        OSError: if the file cannot be read, or is no file.
        SettingsError: if it is no list of options, with the reason.
    """
    try:
        text = read_file(file, LARGEST).decode("utf-8-sig")
        options = yaml.load(text, _Loader)
    except UnicodeDecodeError as error:
        raise SettingsError(f"byte {error.start} is no text in UTF-8") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SettingsError(" ".join(str(error).split())) from None
    if not isinstance(options, dict):
        raise SettingsError(f"got {shortened(options)}")
    for name, value in options.items():
        _check(name, value, name.replace("-", "_") in switches)
    return options


def _check(name: str, value: Any, is_switch: bool) -> None:
    """SettingsError for a value that no option has."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise SettingsError(f"{shortened(name)} is no name of an option")
    if is_switch and value is not None and not isinstance(value, bool):
        raise SettingsError(f"{name} must be true or false, got {shortened(value)}")
    if isinstance(value, bool) and not is_switch:
        raise SettingsError(
            f"{name} is not true or false but has a value; write it in quotes if it is text"
        )
    if isinstance(value, list):
        _check_parts(name, value)
    elif not isinstance(value, str | int | None):
        raise SettingsError(
            f"{name} must be one value or a list of values, got {shortened(value)}"
        )


def _check_parts(name: str, values: list[Any]) -> None:
    """SettingsError for a list that "A,B,C" cannot stand for."""
    if not all(isinstance(value, str | int) for value in values):
        raise SettingsError(
            f"{name} must be a list of texts and numbers, got {shortened(values)}"
        )
    if any("," in str(value) for value in values):
        raise SettingsError(
            f"{name} has a comma within a value of its list, and commas separate values"
        )
