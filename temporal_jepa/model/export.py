"""`TemporalJEPA.embed` as one graph, for ONNX and torch.export."""

import copy
import os
from pathlib import Path
from typing import Literal, get_args

import torch

from ..config import Pool
from .jepa import TemporalJEPA

Format = Literal["onnx", "torch"]


def export(
    model: TemporalJEPA,
    path: str | os.PathLike[str],
    format: Format = "onnx",
    pool: Pool = "all",
    channels: int = 1,
) -> Path:
    """Write the embedding as one graph, `x (batch, time, channels)` -> `(batch, features)`.

    Batch and time are dynamic.

    Args:
        model: the model.
        path: file to write; its folder must exist.
        format: "onnx" (extra `[onnx]`) or "torch" (a `torch.export` program, `.pt2`).
        pool: see `TemporalJEPA.embed`.
        channels: number of channels of the graph, for a model that encodes channels separately;
            such a graph takes no missing values.

    Returns:
        The path.

    Raises:
        ImportError: if the extra is missing.
        ValueError: for an unknown format.
    """
    if format not in get_args(Format):
        raise ValueError(f"format must be 'onnx' or 'torch', got {format!r}")
    path = Path(path)
    graph = copy.deepcopy(model).cpu().embedder(pool).eval()
    if not model.config.channel_independent:
        channels = model.config.input_dim
    example = (
        torch.zeros(2, 4 * model.config.patch + 1, channels, dtype=torch.float32),
    )
    batch = torch.export.Dim("batch", min=1)
    time = torch.export.Dim("time", min=2)
    dynamic_shapes = {"x": {0: batch, 1: time}}
    with torch.no_grad():
        if format == "torch":
            torch.export.save(
                torch.export.export(graph, example, dynamic_shapes=dynamic_shapes), path
            )
            return path
        try:
            import onnxscript  # noqa: F401
        except ImportError:
            raise ImportError(
                "export to ONNX needs onnx and onnxscript: pip install 'temporal-jepa[onnx]'"
            ) from None
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
    program.save(str(path))
    return path
