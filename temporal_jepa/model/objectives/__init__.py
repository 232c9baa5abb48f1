"""Training objectives, each a part of `TemporalJEPA`."""

from collections.abc import Mapping
from typing import Any

from .masked_contrast import MaskedContrast as MaskedContrast
from .next_latent import NextLatent as NextLatent
from .objective import Objective as Objective

OBJECTIVES: Mapping[str, type[Objective]] = {
    "next": NextLatent,
    "contrast": MaskedContrast,
}
"""Objectives by name."""


def as_objective(objective: Objective | str | None) -> Objective | None:
    """An objective by its name, or as it is; None: that of the configuration.

    Raises:
        ValueError: for an unknown name.
    """
    if objective is None or isinstance(objective, Objective):
        return objective
    if objective not in OBJECTIVES:
        raise ValueError(
            f"objective must be one of {', '.join(OBJECTIVES)}, or an Objective, got {objective!r}"
        )
    return OBJECTIVES[objective]()


def describe(objective: Objective | None) -> dict[str, Any] | None:
    """An objective as stored in `config.json`; that of the configuration is None."""
    if objective is None:
        return None
    kinds = {kind: name for name, kind in OBJECTIVES.items()}
    name = kinds.get(type(objective), type(objective).__qualname__)
    settings = {key: _plain(value) for key, value in objective.settings().items()}
    return {"name": name, **settings}


def _plain(value: Any) -> Any:
    """A setting for JSON: a function by its name, a module or an array as text."""
    if value is None or isinstance(value, str | int | float | tuple):
        return value
    return getattr(value, "__qualname__", repr(value))


def stored_objective(config: Mapping[str, Any]) -> Objective | None:
    """The objective of a stored configuration, see `describe`.

    None if it is that of the model, or not one of this package: a model without its objective
    embeds, and is not trained further.

    Raises:
        ValueError: if the configuration is damaged.
    """
    stored = config.get("objective")
    if stored is None:
        return None
    if not isinstance(stored, dict) or not isinstance(stored.get("name"), str):
        raise ValueError(
            f'the configuration has "objective": {stored!r}, expected {{"name": ...}}; copy it '
            "again"
        )
    settings = {key: value for key, value in stored.items() if key != "name"}
    kind = OBJECTIVES.get(stored["name"])
    if kind is None or settings.get("mask") is not None:
        return None
    try:
        return kind(**settings)
    except TypeError as error:
        raise ValueError(
            f'the configuration has "objective": {stored!r}, which this version does not know '
            f"({error}); it was written by another one"
        ) from None
