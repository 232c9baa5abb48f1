"""Names of the numbers of an embedding: of which resolution, layer and statistic they are.

- `layer2_mean_5`: mean over the tokens of layer 2, dimension 5; layer 0 is the tokenizer
- `layer2_q75_5`: quantile .75 of the same; `std` and `max` are further statistics
- `res0.5_layer2_q75_5`: the same at resolution 0.5, see `TemporalJEPAConfig.resolutions`
- `res1_filter_q20_7`: quantile .2 over time of the response of filter 7 of the tokenizer
- `value_x_12`: value 12 of the evenly spaced ones of channel `x`
- `mean_x`, `std_x`: mean and standard deviation of channel `x`
- `component3`: projection on principal component 3, of a compact embedding

At a resolution, the features of the channels are added up, each with fixed random signs, see
`MultiResolution`: a feature may stand for the negative of its name.
"""

from collections.abc import Iterable, Sequence

from ..config import Pool
from ..model.encoder import QUANTILES, ContextEncoder
from ..model.jepa import TemporalJEPA
from ..model.modules import GridEncoder
from ..model.multiscale import LEVELS, point_count
from ..model.tokenizers import FilterTokenizer


def feature_names(
    model: TemporalJEPA,
    channels: Sequence[str],
    pool: Pool = "all",
    dim: int | None = None,
) -> list[str]:
    """The names of the features of `embed_sequences`, in their order; all are different.

    Args:
        model: as trained or loaded.
        channels: names of the channels that are embedded.
        pool: see `TemporalJEPA.embed`.
        dim: numbers of a compact embedding; None: all features.

    >>> from temporal_jepa import from_pretrained
    >>> names = feature_names(from_pretrained("series-small"), ["x"])
    >>> names[0], names[-1]
    ('res0_filter_q20_0', 'std_x')
    """
    if dim is not None:
        return [f"component{k}" for k in range(dim)]
    encoder = model.target_encoder
    config = model.config
    if not config.channel_independent:
        names = _pooled(encoder, pool, first_layer=0)
        if encoder.normalizer.instance:
            names += _of_channels(("mean", "std"), channels)
        return names
    of_one = _of_resolution(encoder, pool)
    names = [
        f"{resolution_name(size)}_{name}"
        for size in config.resolutions
        for name in of_one
    ]
    points = range(point_count(len(channels)))
    names += [f"value_{channel}_{k}" for channel in channels for k in points]
    return names + _of_channels(("mean", "std"), channels)


def timestep_names(model: TemporalJEPA) -> list[str]:
    """The names of the features of `embed_timesteps`: those of the last layer."""
    config = model.config
    last = _layer_count(model.target_encoder) - 1
    names = [f"layer{last}_{k}" for k in range(config.embed_dim)]
    if config.channel_independent:
        highest = resolution_name(max(config.resolutions))
        names = [f"{highest}_{name}" for name in names]
    return names


def resolution_name(resolution: float) -> str:
    """`res0.5`, `res1`, `res128`."""
    return f"res{resolution:g}"


def _of_channels(statistics: Iterable[str], channels: Sequence[str]) -> list[str]:
    return [f"{name}_{channel}" for name in statistics for channel in channels]


def _of_resolution(encoder: ContextEncoder, pool: Pool) -> list[str]:
    """The features of one resolution, in the order of `MultiResolution`."""
    if pool == "mean":
        return _pooled(encoder, "mean", first_layer=0)
    tokenizer = encoder.tokenizer
    if not isinstance(tokenizer, FilterTokenizer):
        return _pooled(encoder, "quantiles", first_layer=0)
    filters = len(tokenizer.convolutions) * (encoder.config.embed_dim // 2)
    names = [
        f"filter_{_quantile(level)}_{k}" for level in LEVELS for k in range(filters)
    ]
    return names + _pooled(encoder, "quantiles", first_layer=1)


def _pooled(encoder: ContextEncoder, pool: Pool, first_layer: int) -> list[str]:
    """The features of `pool_tokens`."""
    layers = range(first_layer, _layer_count(encoder))
    statistics = ["mean", "std", "max"]
    if pool == "mean":
        layers = layers[-1:]
        statistics = ["mean"]
    elif pool == "quantiles":
        statistics = [_quantile(level) for level in QUANTILES]
    return [
        f"layer{layer}_{statistic}_{k}"
        for layer in layers
        for statistic in statistics
        for k in range(encoder.config.embed_dim)
    ]


def _layer_count(encoder: ContextEncoder) -> int:
    """The tokenizer's output, and that of every layer."""
    transformer = encoder.transformer
    if isinstance(transformer, GridEncoder):  # one's own: its output alone
        return 2
    return 1 + max(len(transformer.blocks), 1)


def _quantile(level: float) -> str:
    return f"q{100 * level:g}"
