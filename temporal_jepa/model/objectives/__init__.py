"""Training objectives, each a part of `TemporalJEPA`."""

from collections.abc import Mapping
from inspect import signature
from typing import Any

from ...config import shortened
from ..part import Part
from ..regularizers import Regularizer, SIGReg, VICReg
from .masked_contrast import MaskedContrast as MaskedContrast
from .masked_latent import MaskedLatent as MaskedLatent
from .next_latent import NextLatent as NextLatent
from .objective import Objective as Objective
from .regularizer_only import RegularizerOnly as RegularizerOnly
from .values import Autoencoder as Autoencoder
from .values import MaskedValues as MaskedValues
from .values import NextValues as NextValues

OBJECTIVES: Mapping[str, type[Objective]] = {
    "masked": MaskedLatent,
    "next": NextLatent,
    "contrast": MaskedContrast,
    "masked-values": MaskedValues,
    "next-values": NextValues,
    "autoencoder": Autoencoder,
    "regularizer": RegularizerOnly,
}
"""Objectives by name."""
REGULARIZERS: Mapping[str, type[Regularizer]] = {"vicreg": VICReg, "sigreg": SIGReg}
"""Regularizers by name."""


def as_objective(objective: Objective | str | None) -> Objective | None:
    """An objective by its name, or as it is.

    Raises:
        ValueError: for an unknown name.
    """
    if objective is None or isinstance(objective, Objective):
        return objective
    if isinstance(objective, type) and issubclass(objective, Objective):
        raise ValueError(
            f"objective is a class; pass an object: {objective.__name__}()"
        )
    if objective not in OBJECTIVES:
        raise ValueError(
            f"objective must be one of {', '.join(OBJECTIVES)}, or an Objective, got {objective!r}"
        )
    return OBJECTIVES[objective]()


def describe(objective: Objective | None) -> dict[str, Any]:
    """An objective as stored in `config.json`; None: that of a model loaded without it."""
    if objective is None:
        return {"name": "unknown"}
    return _described(objective, OBJECTIVES)


def _described(part: Part, known: Mapping[str, type[Part]]) -> dict[str, Any]:
    """The name and the settings of a part, for JSON."""
    names = {kind: name for name, kind in known.items()}
    name = names.get(type(part), type(part).__qualname__)
    settings = {key: _plain(value) for key, value in part.settings().items()}
    return {"name": name, **settings}


def _plain(value: Any) -> Any:
    """A setting for JSON: a function by its name, another module or an array as text."""
    if value is None or isinstance(value, str | int | float | tuple):
        return value
    if isinstance(value, Regularizer):
        return _described(value, REGULARIZERS)
    return getattr(value, "__qualname__", repr(value))


def stored_objective(config: Mapping[str, Any]) -> Objective | None:
    """The objective of a stored configuration, see `describe`.

    None if it is not one of this package, or has a mask or a regularizer that is not: a model
    without its objective embeds, and is not trained further.

    Raises:
        ValueError: if the configuration is damaged.
    """
    stored = config.get("objective")
    if stored is None:  # of version 0.1
        return MaskedLatent()
    if not isinstance(stored, dict) or not isinstance(stored.get("name"), str):
        raise ValueError(
            f'the configuration has "objective": {shortened(stored)}, expected {{"name": ...}}; '
            "copy it again"
        )
    settings = {key: value for key, value in stored.items() if key != "name"}
    kind = OBJECTIVES.get(stored["name"])
    if kind is None or settings.get("mask") is not None:
        return None
    try:
        _check_names(kind, settings)
        if settings.get("regularizer") is not None:
            given = dict(settings["regularizer"])
            regularizer = REGULARIZERS.get(given.pop("name"))
            if regularizer is None:
                return None
            settings["regularizer"] = regularizer(**given)
        return kind(**settings)
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(
            f'the configuration has "objective": {shortened(stored, 200)}, which this version does '
            f"not know ({error}); it was written by another one"
        ) from None


def _check_names(kind: type[Objective], settings: Mapping[str, Any]) -> None:
    """ValueError for settings that an objective does not have."""
    unknown = [name for name in settings if name not in signature(kind).parameters]
    if unknown:
        raise ValueError(f"no setting {', '.join(unknown)}")
