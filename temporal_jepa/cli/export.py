"""`temporal-jepa export`: write the embedding as a graph."""

import logging
import warnings
from typing import Literal

from ..config import Pool, TemporalJEPAConfig
from ..files import channels_of, folder_of, read_config
from .console import record, show_lines
from .progress import Clock
from .writing import output_path


def export(
    run: str,
    *,
    format: Literal["onnx", "torch"] = "onnx",
    out: str | None = None,
    pool: Pool = "all",
    dim: int | None = None,
    length: int | None = None,
    channels: int | None = None,
    overwrite: bool = False,
) -> None:
    """Write the embedding as a graph that runs without this library.

    Examples:
        temporal-jepa export runs/a --format onnx --out model.onnx

    Args:
        run: run folder, series-small, or a model on the Hugging Face hub.
        format: ONNX, or a torch.export program.
        out: file to write (default: RUN/model.onnx or RUN/model.pt2).
        pool: "mean" of the tokens, "all" (mean, std and max of every layer) or "quantiles" (of
            every layer).
        dim: numbers of a compact embedding, the first principal components of the features
            (default: 0, all features).
        length: timesteps of the series that the graph takes, for a model whose resolutions follow
            the length, as those of series-small (default: that of the training data, if all its
            series have one length).
        channels: channels of the series that the graph takes, for a model that encodes channels
            separately, as series-small (default: those of the training data, else 1).
        overwrite: replace the file.
    """
    from ..checkpoint import from_pretrained
    from ..model.export import export as write_graph
    from ..model.multiscale import follows_length

    model = from_pretrained(run)
    config = read_config(folder_of(run))
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


def _check_channels(channels: int, config: TemporalJEPAConfig) -> None:
    """ValueError unless the number of channels of a graph can be chosen."""
    if not config.channel_independent:
        raise ValueError(
            f"--channels has no effect: the model takes {config.input_dim} channels jointly"
        )
    if channels < 1:
        raise ValueError(f"--channels must be at least 1, got {channels}")
