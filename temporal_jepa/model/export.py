"""`TemporalJEPA.embed` as one graph, for ONNX and torch.export."""

import copy
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, get_args

import torch
from torch.torch_version import TorchVersion

from ..config import Pool
from ..files import replacing
from .jepa import TemporalJEPA
from .multiscale import follows_length

Format = Literal["onnx", "torch"]
TESTED = "2.12"  # of torch, with which all graphs are written; 2.7 to 2.10 refuse some


def export(
    model: TemporalJEPA,
    path: str | os.PathLike[str],
    format: Format = "onnx",
    pool: Pool = "all",
    channels: int = 1,
    length: int | None = None,
    dim: int | None = None,
) -> Path:
    """Write the embedding as one graph, `x (batch, time, channels)` -> `(batch, features)`.

    Batch and time are dynamic, but the time of a graph whose resolutions follow the length. With an
    encoder of one's own a series must be longer than a patch.

    Args:
        model: the model.
        path: file to write, whole or not at all; missing folders are created.
        format: "onnx" (extra `[onnx]`) or "torch" (a `torch.export` program, `.pt2`).
        pool: see `TemporalJEPA.embed`.
        channels: number of channels of the graph, for a model that encodes channels separately;
            such a graph takes no missing values.
        length: timesteps of the series that the graph takes, for a model whose resolutions follow
            the length (see `TemporalJEPAConfig.resolutions`). Its batch alone is dynamic.
        dim: numbers of a compact embedding, see `TemporalJEPA.embed`; None: all features.

    Returns:
        The path.

    Raises:
        ImportError: if the extra is missing.
        RuntimeError: if torch is older than `TESTED` and refuses the graph.
        ValueError: for an unknown format; if `length` is missing where it is needed, or given where
            it has no effect; for a `dim` that the model cannot compute.
        OSError: if the file cannot be written; one that was there is still whole.
    """
    if format not in get_args(Format):
        raise ValueError(f"format must be 'onnx' or 'torch', got {format!r}")
    _check_length(model, length)
    path = Path(path)
    graph = copy.deepcopy(model).cpu().embedder(pool, dim).eval()
    if not model.config.channel_independent:
        channels = model.config.input_dim
    timesteps = length or 4 * model.config.patch + 1
    example = (torch.zeros(2, timesteps, channels, dtype=torch.float32),)
    dimensions = {0: torch.export.Dim("batch", min=1)}
    if length is None:
        is_own = not getattr(graph, "has_spare_token", True)
        shortest = model.config.patch + 1 if is_own else 2
        dimensions[1] = torch.export.Dim("time", min=shortest)
    dynamic_shapes = {"x": dimensions}
    if format == "onnx":
        try:
            import onnxscript  # noqa: F401
        except ImportError:
            raise ImportError(
                "export to ONNX needs onnx and onnxscript: pip install 'temporal-jepa[onnx]'"
            ) from None
    with torch.no_grad(), replacing(path) as file, _told_if_old():
        if format == "torch":
            program = torch.export.export(graph, example, dynamic_shapes=dynamic_shapes)
            content = io.BytesIO()  # torch ends the process if its disk is full
            torch.export.save(program, content)
            file.write(content.getbuffer())
        else:
            _write_onnx(graph, example, dynamic_shapes, file)
    return path


@contextmanager
def _told_if_old() -> Iterator[None]:
    """RuntimeError that says so if a torch older than `TESTED` refuses a graph."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        if TorchVersion(torch.__version__) >= TESTED:
            raise
        raise RuntimeError(
            f"torch {torch.__version__} refuses this graph, which torch {TESTED} writes: pip "
            f"install 'torch>={TESTED}'"
        ) from error


def _write_onnx(
    graph: torch.nn.Module,
    example: tuple[torch.Tensor, ...],
    dynamic_shapes: dict[str, dict[int, torch.export.Dim]],
    file: BinaryIO,
) -> None:
    """Write the graph by the name of the open file, which ONNX asks for."""
    program = torch.onnx.export(
        graph,
        example,
        dynamo=True,
        dynamic_shapes=dynamic_shapes,
        input_names=["x"],
        output_names=["embedding"],
        external_data=False,
        verbose=False,
    )
    assert program is not None
    program.save(file.name)


def _check_length(model: TemporalJEPA, length: int | None) -> None:
    """ValueError unless the length of the series of a graph is given where it is needed."""
    if follows_length(model.config) and length is None:
        raise ValueError(
            "the resolutions of this model follow the length of a series, and a graph has one "
            "length: pass length=, the timesteps of its series"
        )
    if length is not None and not follows_length(model.config):
        raise ValueError(
            "length= has no effect: the graph of this model takes any length"
        )
    if length is not None and length < 1:
        raise ValueError(f"length must be at least 1 timestep, got {length}")
