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
    settings = {
        key: value
        if isinstance(value, str | int | float | tuple | None)
        else repr(value)
        for key, value in objective.settings().items()
    }
    return {"name": name, **settings}


def stored_objective(config: Mapping[str, Any] | None) -> Objective | None:
    """The objective that `describe` described; None if it is not one of this package.

    A model without its objective embeds, but is not trained further.
    """
    settings = dict(config or {})
    kind = OBJECTIVES.get(settings.pop("name", ""))
    if kind is None or settings.get("mask") is not None:
        return None
    return kind(**settings)
