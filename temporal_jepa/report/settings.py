"""The settings of a run as tables, and the command lines that make it again."""

import shlex
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ..config import (
    RECIPE,
    VIDEO,
    PretrainConfig,
    TemporalJEPAConfig,
    flags,
)
from ..data.store.remote import is_remote
from ..files import SCRATCH
from ..model.objectives import MaskedLatent, stored_objective
from .run import Row, Run


def settings_tables(run: Run) -> dict[str, Row]:
    """Tables of name and value: what config.json stores."""
    model = dict(run.config["model"])
    if run.model is not None:
        count = sum(weight.numel() for weight in run.model.context_encoder.parameters())
        model["encoder parameters"] = f"{count:,}"
    return {
        "Model": model,
        "Objective": run.config.get("objective") or {"name": "masked"},
        "Training": run.config.get("pretrain", {}),
        "Data": run.config.get("data", {}),
        "Environment": {
            "temporal-jepa": run.config.get("version", "unknown"),
            **run.config.get("environment", {}),
        },
    }


def command_lines(run: Run) -> dict[str, str]:
    """The command lines that make this run and its files again; defaults are left out."""
    folder = str(run.folder)
    data = run.data
    path = str(data.get("path", "DATA"))
    train = ["pretrain", "--data", path, "--out", folder]
    train += flags(data.get("options", {}))
    train += flags(run.config.get("pretrain", {}), asdict(PretrainConfig()))
    train += ["--init-from", run.start]
    if run.start == SCRATCH:
        train += _model_flags(run.config["model"])
    objective = _objective_flags(run)
    train += objective or []
    words = {
        "Pretrain": train,
        "Embed": ["embed", folder, path],
        "Probe": _probe_words(run),
    }
    if not run.probe and run.sequences is not None and run.sequences.labels is None:
        del words["Probe"]
    if objective is None:
        del words["Pretrain"]
    words["Report"] = ["report", folder]
    if is_remote(path):
        words["Report"] += ["--data", path]
    return {
        title: shlex.join(["temporal-jepa", *line]) for title, line in words.items()
    }


def _probe_words(run: Run) -> list[str]:
    """The command line of the stored scores, or of the first ones."""
    words = ["probe", str(run.folder)]
    path = str(run.data.get("path"))
    if not run.probe:
        return [*words, "--train", path] if is_remote(path) else words
    names = {
        "train": "train",
        "test": "test",
        "probe": "kind",
        "pool": "pool",
        "dim": "dim",
        "seed": "seed",
    }
    given = {flag: run.probe.get(name) for name, flag in names.items()}
    if str(given["test"]).startswith("held out of "):
        given["test"] = None
    return [*words, *flags(given)]


def _objective_flags(run: Run) -> list[str] | None:
    """The flags that name the objective of a run; None if it or its settings have no flags."""
    objective = stored_objective(run.config)
    if objective is None or repr(objective) != repr(type(objective)()):
        return None
    if isinstance(objective, MaskedLatent):  # the default from any start
        return []
    return flags({"objective": run.config["objective"]["name"]})


def _model_flags(model: Mapping[str, Any]) -> list[str]:
    """The flags of the settings that differ from the recommended ones; the data decide the rest."""
    defaults = {**asdict(TemporalJEPAConfig(input_dim=1)), **RECIPE}
    if model.get("tokenizer") == "tubelet":
        defaults |= VIDEO
    defaults |= {"patch_len": None, "patch_size": 1}
    chosen = dict(model)
    for name in ("input_dim", "frame", "resolutions"):
        chosen.pop(name, None)
    return flags(chosen, defaults)
