"""`embed` as one graph for ONNX and torch.export."""

import math
import os
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import Pool
from .encoder import append_moments, pool_tokens, view_pool
from .jepa import TemporalJEPA
from .multiscale import channel_signs, points_of


class _Embedder(nn.Module):
    """`TemporalJEPA.embed` as one graph without data-dependent shapes: unobserved tokens are masked, not dropped."""

    def __init__(self, model: TemporalJEPA, pool: Pool):
        super().__init__()
        self.encoder = model.target_encoder
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        patch = self.encoder.config.patch
        tokens = (
            x.shape[1] + 2 * patch - 1
        ) // patch  # one to spare, so that no size is ever 1 (torch.export)
        x = F.pad(x, (0, 0, 0, tokens * patch - x.shape[1]), value=float("nan"))
        known = ~x.isnan()
        features = pool_tokens(self.encoder.encode(x, known, drop=False), self.pool)
        return append_moments(self.encoder, features, x, known)


class _ViewsEmbedder(nn.Module):
    """`views.embed_views` of complete series as one graph: `(batch, time, channels)` -> `(batch, features)`."""

    signs: Tensor

    def __init__(self, model: TemporalJEPA, pool: Pool, channels: int):
        super().__init__()
        self.encoder = model.target_encoder
        self.resolutions = model.config.resolutions
        self.points = points_of(channels)
        self.pool = view_pool(pool)
        with torch.no_grad():
            count = self._features(torch.zeros(1, self.resolutions[0], 1)).shape[1]
        self.register_buffer("signs", torch.from_numpy(channel_signs(channels, count)).float())

    def _features(self, rows: Tensor) -> Tensor:
        return pool_tokens(
            self.encoder.encode(rows, torch.ones_like(rows, dtype=torch.bool), drop=False),
            self.pool,
        )

    def forward(self, x: Tensor) -> Tensor:
        # float32 would turn the rounding errors of a constant into a shape
        x = x.double()
        parts = []
        for length in self.resolutions:
            rows = self._stretched(x, length)  # (B, C, L)
            rows = rows - rows.mean(2, keepdim=True)
            std = rows.square().mean(2, keepdim=True).sqrt()
            rows = torch.where(
                std > 1e-9 * x.abs().amax(1)[:, :, None], rows / std.clamp(min=1e-300), 0.0
            )
            features = self._features(rows.to(self.signs.dtype).flatten(0, 1)[:, :, None])
            parts.append((torch.unflatten(features, 0, (-1, x.shape[2])) * self.signs).sum(1))
        mean = x.mean(1)
        std = (x - mean[:, None]).square().mean(1).sqrt()
        digit = 10.0 ** (torch.log(torch.where(std > 0, std, 1.0)) / math.log(10) - 2).floor()
        level = torch.where(std > 0, torch.round(mean / digit) * digit, mean)
        parts += [
            self._stretched(x, self.points).flatten(1),
            level,
            torch.round(std / digit) * digit,
        ]
        return torch.cat([part.float() for part in parts], dim=1)

    @staticmethod
    def _stretched(x: Tensor, length: int) -> Tensor:
        """Each channel resampled linearly: `(B, T, C)` -> `(B, C, length)`."""
        last = x.shape[1] - 1
        place = torch.arange(length, device=x.device) * last  # whole numbers: exact for any time
        low = torch.div(place, length - 1, rounding_mode="floor")
        share = (place - low * (length - 1)).to(x.dtype) / (length - 1)
        high = (low + 1).clamp(max=last)
        return (x[:, low] * (1 - share)[:, None] + x[:, high] * share[:, None]).transpose(1, 2)


def export(
    model: TemporalJEPA,
    path: str | os.PathLike[str],
    format: Literal["onnx", "torch"] = "onnx",
    pool: Pool = "all",
    channels: int = 1,
) -> Path:
    """Write `embed` as one graph, `x (batch, time, channels)` -> `(batch, features)`, batch and time dynamic.

    Args:
        model: the model.
        path: file to write; its folder must exist.
        format: "onnx" (extra `[onnx]`) or "torch" (a `torch.export` program, `.pt2`).
        pool: see `TemporalJEPA.embed`.
        channels: of the graph of a model with `views`, which takes any number of them, but then no missing values.

    Returns:
        The path.

    Raises:
        ImportError: if the extra is missing.
        ValueError: for an unknown format.
    """
    if format not in ("onnx", "torch"):
        raise ValueError(f"format must be 'onnx' or 'torch', got {format!r}")
    path = Path(path)
    views = bool(model.config.resolutions)
    graph = (
        _ViewsEmbedder(model.cpu(), pool, channels) if views else _Embedder(model, pool).cpu()
    ).eval()
    example = torch.zeros(
        2, 4 * model.config.patch + 1, channels if views else model.config.input_dim
    )
    dynamic = {"x": {0: torch.export.Dim("batch", min=1), 1: torch.export.Dim("time", min=2)}}
    with torch.no_grad():
        if format == "torch":
            torch.export.save(torch.export.export(graph, (example,), dynamic_shapes=dynamic), path)
            return path
        try:
            import onnxscript  # noqa: F401
        except ImportError:
            raise ImportError(
                "export to ONNX needs onnx and onnxscript: pip install 'temporal-jepa[onnx]'"
            ) from None
        program = torch.onnx.export(
            graph,
            (example,),
            dynamo=True,
            dynamic_shapes=dynamic,
            input_names=["x"],
            output_names=["embedding"],
            external_data=False,
            verbose=False,
        )
        assert program is not None
        program.save(str(path))
    return path
