"""`temporal-jepa export`: write the embedding as a graph."""

import logging
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from ..config import Pool, TemporalJEPAConfig
from ..files import channels_of, folder_of, read_config
from .code import load_code
from .console import record, show_lines
from .progress import Clock
from .writing import output_path

if TYPE_CHECKING:
    from ..model.modules import Modules


def export(
    run: str,
    *,
    format: Literal["onnx", "torch"] = "onnx",
    out: str | None = None,
    pool: Pool = "all",
    dim: int | None = None,
    length: int | None = None,
    channels: int | None = None,
    encoder: str | None = None,
    tokenizer: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write the embedding as a graph that runs without this library.

    Examples:
        temporal-jepa export runs/a --format onnx --out model.onnx

    Args:
        run: run folder, series-small, or a model on the Hugging Face hub.
        format: ONNX, or a torch.export program.
        out: file to write (default: RUN/model.onnx or RUN/model.pt2).
        pool: how the vectors of the parts of a sequence become one: "mean", "all" (mean, std and
            max of every layer) or "quantiles" (of every layer).
        dim: numbers of a compact embedding, the first principal components of the features
            (default: 0, all features).
        length: timesteps of the series that the graph takes, for a model that takes one length
            only once exported, as series-small (default: that of the training data, if all its
            series have one length).
        channels: channels of the series that the graph takes, for a model that encodes channels
            separately, as series-small (default: those of the training data, else 1).
        encoder: MODULE:NAME or FILE.py:NAME of the encoder of yours that the run was made with. The
            module or file is executed.
        tokenizer: the same for a tokenizer of yours.
        overwrite: replace the file.
    """
    from ..checkpoint import from_pretrained
    from ..model.export import export as write_graph
    from ..model.multiscale import follows_length

    config = read_config(folder_of(run))
    modules = _own_modules(run, config, encoder, tokenizer)
    model = from_pretrained(run, modules=modules)
    if channels is not None:
        _check_channels(channels, model.config)
    channels = channels or channels_of(config) or 1
    lengths = set(config.get("data", {}).get("lengths", ()))
    if length is None and follows_length(model.config) and len(lengths) == 1:
        (length,) = lengths
    name = "model.onnx" if format == "onnx" else "model.pt2"
    path = output_path(out, run, name, overwrite)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # torch's exporters warn about their own internals
        logging.disable(logging.WARNING)
        try:
            with Clock("writing the graph"):
                write_graph(
                    model, path, format, pool, channels, length, dim=dim or None
                )
        finally:
            logging.disable(logging.NOTSET)
    record(graph=path, format=format, length=length, channels=channels, dim=dim)
    missing = (
        "no missing values" if model.config.channel_independent else "NaN where missing"
    )
    show_lines(
        f"{path}: x (batch, {length or 'time'}, {channels}) float32, {missing} -> "
        f"(batch, {dim or 'features'})"
    )


def _own_modules(
    run: str, config: Mapping[str, Any], encoder: str | None, tokenizer: str | None
) -> "Modules":
    """The modules that the flags name; ValueError if one that the run was made with is missing."""
    from ..model.modules import Modules

    flags = {"encoder": encoder, "tokenizer": tokenizer}
    for part, name in (config.get("modules") or {}).items():
        if flags.get(part) is None:
            raise ValueError(
                f"{run}: the model was made with {part} {name}, whose code is not stored with it; "
                f"name the file that has it: --{part} FILE.py:{name}"
            )
    given = {part: load_code(f"--{part}", word) for part, word in flags.items() if word}
    return Modules(**given)


def _check_channels(channels: int, config: TemporalJEPAConfig) -> None:
    """ValueError unless the number of channels of a graph can be chosen."""
    if not config.channel_independent:
        raise ValueError(
            f"--channels has no effect: the model takes {config.input_dim} channels jointly"
        )
    if channels < 1:
        raise ValueError(f"--channels must be at least 1, got {channels}")
