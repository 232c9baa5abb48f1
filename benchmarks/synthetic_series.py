"""Series drawn from random processes: training data without a license question, from a seed.

A series comes from one of nine families of processes, or from the sum of two, each with its own
parameters; then it is cut, warped in time, disturbed and scaled. Changing the order of the random
draws changes the data that `series-small` was trained on.

Legend of shapes: `n` series, `T` timesteps; parameters are `(n, 1)`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# Series that are drawn together: series i depends on the seed and i, not on how many are requested.
CHUNK = 512
BURN_IN = 64  # timesteps before a dynamical system is recorded
SHARED = 0.9  # share of the variance of a random curve that a pair has in common


class _PairSource:
    """A generator whose rows 2i and 2i + 1 become two series of one process.

    It draws parameters once per pair and noise for every row. What is drawn as `(..., n, 1)` or
    `(n,)` is a parameter; `(2, n, T)` are the waves of `_smooth`, most of which is shared; anything
    else is noise.
    """

    def __init__(self, rng: np.random.Generator):
        self.rng = rng

    def _paired(
        self,
        draw: Callable[[tuple[int, ...]], npt.NDArray[Any]],
        size: tuple[int, ...] | int,
    ) -> Array:
        size = (size,) if isinstance(size, int) else size
        is_curve = len(size) == 3 and size[0] == 2
        is_noise = len(size) > 1 and size[-1] > 1 and not is_curve
        if is_noise:
            return draw(size)
        axis = max(len(size) - 2, 0)
        half = (*size[:axis], size[axis] // 2, *size[axis + 1 :])
        common: Array = np.repeat(draw(half), 2, axis)
        if not is_curve:
            return common
        return SHARED**0.5 * common + (1 - SHARED) ** 0.5 * draw(size)

    def normal(self, *, size: tuple[int, ...]) -> Array:
        """As numpy's."""
        return self._paired(lambda shape: self.rng.normal(size=shape), size)

    def random(self, size: tuple[int, ...] | int) -> Array:
        """As numpy's."""
        return self._paired(self.rng.random, size)

    def uniform(self, low: float, high: float, size: tuple[int, ...] | int) -> Array:
        """As numpy's."""
        return self._paired(lambda shape: self.rng.uniform(low, high, shape), size)

    def integers(self, high: int, *, size: int) -> npt.NDArray[np.int64]:
        """As numpy's."""
        return self._paired(
            lambda shape: self.rng.integers(high, size=shape), size
        ).astype(np.int64)


Source = np.random.Generator | _PairSource  # what parameters and noise are drawn from
Family = Callable[[Source, int, int], Array]  # (source, n, length) -> (n, length)


def synthetic_series(
    n: int, length: int = 512, seed: int = 0, start: int = 0
) -> npt.NDArray[np.float32]:
    """Draw series, each with mean 0 and standard deviation 1.

    Args:
        n: number of series.
        length: timesteps of each, at least 32.
        seed: of everything; the same seed gives the same series.
        start: index of the first series: `synthetic_series(6, start=4)` equals
            `synthetic_series(10)[4:]`.

    Returns:
        float32 `(n, length)`.

    Raises:
        ValueError: if `n` or `start` is negative, or `length` below 32.

    >>> synthetic_series(3, length=64).shape
    (3, 64)
    """
    return _drawn(n, length, seed, start, 1)[:, 0]


def synthetic_pairs(
    n: int, length: int = 512, seed: int = 0, start: int = 0
) -> npt.NDArray[np.float32]:
    """Draw positive pairs: series of one process with other noise, positions and warps.

    Arguments and errors as `synthetic_series`.

    Returns:
        float32 `(n, 2, length)`.

    >>> synthetic_pairs(3, length=64).shape
    (3, 2, 64)
    """
    return _drawn(n, length, seed, start, 2)


def _drawn(
    n: int, length: int, seed: int, start: int, alike: int
) -> npt.NDArray[np.float32]:
    """`n` groups of `alike` series: `(n, alike, length)`, cut from whole chunks."""
    if n < 0 or start < 0 or length < 32:
        raise ValueError(
            f"expected n and start >= 0 and length >= 32, got {n}, {start} and {length}"
        )
    out = np.empty((n, alike, length), dtype=np.float32)
    size = CHUNK // alike
    for chunk in range(start // size, -(-(start + n) // size)):
        low = max(start, chunk * size)
        high = min(start + n, (chunk + 1) * size)
        drawn = _chunk(np.random.default_rng([seed, alike, chunk]), length, alike)
        out[low - start : high - start] = drawn[
            low - chunk * size : high - chunk * size
        ]
    return out


def _chunk(rng: np.random.Generator, length: int, alike: int) -> Array:
    """`CHUNK // alike` groups in random order, one family each; a third has another one added."""
    source = rng if alike == 1 else _PairSource(rng)
    groups = CHUNK // alike
    sizes = [len(range(k, groups, len(FAMILIES))) * alike for k in range(len(FAMILIES))]
    drawn = [
        _standard(family(source, size, length))
        for family, size in zip(FAMILIES, sizes, strict=True)
    ]
    x = rng.permutation(np.concatenate(drawn).reshape(groups, alike, length))
    share = _some(rng, groups, 0.33) * rng.uniform(0.1, 1.0, (groups, 1))
    x += share[:, :, None] * rng.permutation(x)
    x = _disturbed(source, x.reshape(CHUNK, length))
    is_constant = x.std(1, keepdims=True) <= 1e-3
    x = np.where(is_constant, rng.normal(size=x.shape), x)
    return _standard(x).reshape(groups, alike, length)


def _standard(x: Array) -> Array:
    """Mean 0 and standard deviation 1 in every row; a constant row becomes 0."""
    x = x - x.mean(1, keepdims=True)
    scaled: Array = x / np.maximum(x.std(1, keepdims=True), 1e-6)
    return scaled


def _some(rng: Source, n: int, share: float) -> Array:
    """1 for a random share of the rows, else 0: `(n, 1)`."""
    return (rng.random((n, 1)) < share).astype(float)


def _scale(rng: Source, n: int, low: float, high: float) -> Array:
    """Log-uniform in [low, high]: `(n, 1)`."""
    return np.exp(rng.uniform(np.log(low), np.log(high), (n, 1)))


def _smooth(rng: Source, n: int, length: int, detail: float) -> Array:
    """Smooth random functions with about `detail` bends, standardized."""
    frequency = np.arange(length + 1) / 2
    waves = rng.normal(size=(2, n, length + 1)) * np.exp(
        -((frequency / detail) ** 2) / 2
    )
    return _standard(np.fft.irfft(waves[0] + 1j * waves[1], axis=1)[:, :length])


def _interpolated(x: Array, position: Array) -> Array:
    """Values of the rows at fractional positions `(n, m)`, linear in between."""
    position = np.clip(position, 0, x.shape[1] - 1.001)
    left = position.astype(int)
    share = position - left
    before = np.take_along_axis(x, left, 1)
    after = np.take_along_axis(x, left + 1, 1)
    value: Array = before * (1 - share) + after * share
    return value


def _disturbed(rng: Source, x: Array) -> Array:
    """Cut, warp in time, modulate, clip, reverse and add noise: each to some of the rows."""
    n, length = x.shape
    speed = (
        _some(rng, n, 0.5) * rng.uniform(0, 0.8, (n, 1)) * _smooth(rng, n, length, 3)
    )
    steps = np.exp(speed).cumsum(1)
    width = np.where(_some(rng, n, 0.5), rng.uniform(0.3, 1.0, (n, 1)), 1.0)
    first = rng.uniform(0, 1, (n, 1)) * (1 - width)
    x = _standard(
        _interpolated(x, (first + width * steps / steps[:, -1:]) * (length - 1))
    )
    x = x * np.exp(
        _some(rng, n, 0.2) * rng.uniform(0, 1, (n, 1)) * _smooth(rng, n, length, 2)
    )
    limit = np.where(_some(rng, n, 0.05), rng.uniform(0.5, 2, (n, 1)), np.inf)
    x = np.clip(x, -limit, limit) * (1 - 2 * _some(rng, n, 0.2))
    x = np.where(_some(rng, n, 0.2) > 0, x[:, ::-1], x)
    return _standard(x) + _some(rng, n, 0.5) * _scale(rng, n, 0.01, 0.5) * rng.normal(
        size=x.shape
    )


def _colored(rng: Source, n: int, length: int) -> Array:
    """Gaussian, heavy-tailed or sparse noise through a random filter: ARMA, resonances."""
    frequency = np.fft.rfftfreq(2 * length) + 1 / (4 * length)
    gain = frequency ** -rng.uniform(0, 2.5, (n, 1))
    for _ in range(3):
        center = _scale(rng, n, 1 / length, 0.4)
        width = _scale(rng, n, 0.2 / length, 0.1)
        peak = _scale(rng, n, 1, 100) / np.hypot(1, (frequency - center) / width)
        gain = gain * (1 + _some(rng, n, 0.4) * peak)
    cutoff = np.where(_some(rng, n, 0.5), _scale(rng, n, 2 / length, 0.3), 9.0)
    gain *= np.exp(-((frequency / cutoff) ** 2))
    noise = rng.normal(size=(n, 2 * length))
    heavy = _some(rng, n, 0.3)
    sparse = _some(rng, n, 0.2)
    noise = np.sign(noise) * np.abs(noise) ** (1 + 2 * heavy)
    noise *= np.where(
        sparse, rng.random(noise.shape) < _scale(rng, n, 2 / length, 0.1), 1.0
    )
    x = np.fft.irfft(np.fft.rfft(noise) * gain, n=2 * length)
    return x[:, length // 2 : length // 2 + length]


def _seasonal(rng: Source, n: int, length: int) -> Array:
    """One or two periods of any waveform, on a trend with breaks, with noise."""
    time = np.linspace(0, 1, length)[None]
    x = rng.normal(size=(n, 1)) * time * 2 + _some(rng, n, 0.3) * _steps(rng, n, length)
    for share in (1.0, 0.5):
        phase = time * _scale(rng, n, 0.7, length / 8) + rng.random((n, 1))
        phase = phase + 0.02 * _smooth(rng, n, length, 4)
        height = rng.normal(size=(6, n, 1))
        decay = np.arange(1, 7)[:, None, None] ** rng.uniform(0, 2, (n, 1))
        harmonics = height / decay
        wave = sum(
            h * np.cos(2 * np.pi * (k + 1) * phase + rng.uniform(0, 6, (n, 1)))
            for k, h in enumerate(harmonics)
        )
        square = np.tanh(_standard(wave) * _scale(rng, n, 0.5, 10))
        scale = _some(rng, n, share) * rng.normal(size=(n, 1))
        x = x + scale * np.where(_some(rng, n, 0.4), square, _standard(wave))
    return x + _scale(rng, n, 0.01, 0.5) * rng.normal(size=(n, length))


def _steps(rng: Source, n: int, length: int) -> Array:
    """Levels that jump at random times, some with slopes: on and off, regimes."""
    when = rng.random((n, length)) < _scale(rng, n, 1 / length, 20 / length)
    jumps = when * rng.normal(size=(n, length))
    level = jumps.cumsum(1) - rng.normal(size=(n, 1)) * np.linspace(0, 1, length)
    level = np.where(_some(rng, n, 0.3), level.cumsum(1), level)
    return np.where(_some(rng, n, 0.3), np.sign(_standard(level)), _standard(level))


def _shapes(rng: Source, n: int, length: int) -> Array:
    """A few smooth shapes on noise or on a random walk: classes often differ locally."""
    ground = rng.normal(size=(n, length))
    ground = np.where(_some(rng, n, 0.5), _standard(ground.cumsum(1)), ground)
    ground = ground * _scale(rng, n, 0.02, 0.7)
    shape = _smooth(rng, n, length, 4) + _some(rng, n, 0.3) * _steps(rng, n, length)
    time = np.arange(length)[None]
    for share in (1.0, 0.7, 0.4, 0.2):
        width = _scale(rng, n, 0.05, 0.6) * length
        first = rng.uniform(-0.1, 0.9, (n, 1)) * length
        inside = np.clip((time - first) / width, 0, 1)
        fade = np.sin(np.pi * inside) ** rng.uniform(0.2, 2, (n, 1))
        height = _some(rng, n, share) * rng.normal(size=(n, 1))
        ground = ground + height * fade * _interpolated(shape, inside * (length - 1))
    return ground


def _pulses(rng: Source, n: int, length: int) -> Array:
    """A pulse that recurs, regularly or not: heart beats, spikes with a decay, events."""
    time = np.linspace(-1, 1, 2 * length)[None]
    pulse = np.zeros((n, 2 * length))
    for _ in range(4):
        center = rng.uniform(-0.15, 0.15, (n, 1))
        width = _scale(rng, n, 0.003, 0.06)
        bump = np.exp(-(((time - center) / width) ** 2) / 2)
        decay = np.where(
            time > center, np.exp(-np.maximum(time - center, 0) / width), 0.0
        )
        height = _some(rng, n, 0.7) * rng.normal(size=(n, 1))
        pulse += height * np.where(_some(rng, n, 0.3), decay, bump)
    period = _scale(rng, n, 0.03, 0.7) * length
    beat = (
        np.arange(length)[None] / period
        + rng.random((n, 1))
        + 0.1 * _smooth(rng, n, length, 10)
    )
    regular = np.diff(np.floor(beat), axis=1, prepend=np.floor(beat[:, :1])) > 0
    events = np.where(_some(rng, n, 0.5), regular, rng.random((n, length)) < 1 / period)
    height = events * np.exp(rng.normal(size=(n, length)) * _scale(rng, n, 0.01, 0.7))
    spectrum = np.fft.rfft(height, 2 * length) * np.fft.rfft(
        np.fft.ifftshift(pulse, axes=1)
    )
    noise = _scale(rng, n, 0.001, 0.05) * rng.normal(size=(n, length))
    return np.fft.irfft(spectrum)[:, :length] + noise


def _chirps(rng: Source, n: int, length: int) -> Array:
    """Oscillations whose frequency and amplitude wander or jump: sweeps, bursts, speech, motion."""
    x = np.zeros((n, length))
    for share in (1.0, 0.5, 0.3):
        wander = rng.uniform(0, 1.5, (n, 1)) * _smooth(rng, n, length, 2)
        wander = wander + _some(rng, n, 0.2) * _steps(rng, n, length)
        speed = np.minimum(_scale(rng, n, 1 / length, 0.15) * np.exp(wander), 0.45)
        envelope = np.exp(rng.uniform(0, 2, (n, 1)) * _smooth(rng, n, length, 4))
        height = _some(rng, n, share) * rng.normal(size=(n, 1))
        x += height * envelope * np.sin(2 * np.pi * speed.cumsum(1))
    return x


def _outlines(rng: Source, n: int, length: int) -> Array:
    """Smooth profiles with peaks, corners and valleys: outlines, spectra, daily loads."""
    time = np.linspace(0, 1, length)[None]
    x = _smooth(rng, n, length, 2) + rng.normal(size=(n, 1)) * 0.5 * _smooth(
        rng, n, length, 8
    )
    for _ in range(6):
        offset = (time - rng.random((n, 1))) / _scale(rng, n, 0.005, 0.2)
        peak = np.where(
            _some(rng, n, 0.5), np.exp(-(offset**2) / 2), 1 / (1 + offset**2)
        )
        peak = np.where(_some(rng, n, 0.2), np.maximum(1 - np.abs(offset), 0), peak)
        x += _some(rng, n, 0.6) * rng.normal(size=(n, 1)) * 2 * peak
    return x


def _dynamics(rng: Source, n: int, length: int) -> Array:
    """Chaotic and limit-cycle flows, driven: one coordinate of Lorenz, Rössler or van der Pol."""
    a, b, c = (rng.uniform(0.8, 1.2, n) for _ in range(3))
    step = _scale(rng, n, 0.002, 0.02)[:, 0]
    drive = rng.uniform(0, 1, n) * (rng.random(n) < 0.5)
    which = rng.integers(3, size=n)
    speed = rng.uniform(0.5, 3, n)
    x, y, z = rng.normal(size=(3, n))
    z = np.where(which == 0, z + 20, z)
    rows = np.empty((length + BURN_IN, n))
    step = np.where(which == 0, step, 5 * step)
    for t in range(length + BURN_IN):
        for _ in range(2):
            dx = np.choose(which, [10 * a * (y - x), -y - z, y])
            dy = np.choose(
                which,
                [
                    x * (28 * b - z) - y,
                    x + 0.2 * a * y,
                    3 * a * (1 - x * x) * y - b * x,
                ],
            )
            dz = np.choose(
                which, [x * y - 8 / 3 * c * z, 0.2 * b + z * (x - 5.7 * c), 0 * z]
            )
            push = drive * np.sin(speed * t * step)
            x = np.clip(x + step * (dx + push), -60, 60)
            y = np.clip(y + step * (dy + push), -60, 60)
            z = np.clip(z + step * dz, -60, 60)
        rows[t] = x
    return rows[BURN_IN:].T


def _networks(rng: Source, n: int, length: int) -> Array:
    """Noise through random convolutions with nonlinearities: structure of no formula above."""
    is_walk = _some(rng, n, 0.5)
    walk = rng.normal(size=(n, 2 * length)).cumsum(1)
    noise = rng.normal(size=(n, 2 * length))
    x = np.where(is_walk, walk, noise)
    for _ in range(3):
        kernel = np.zeros((n, 2 * length))
        kernel[:, :64] = rng.normal(size=(n, 64)) * np.exp(
            -np.arange(64) / _scale(rng, n, 1, 30)
        )
        x = _standard(np.fft.irfft(np.fft.rfft(x) * np.fft.rfft(kernel)))
        x = x + rng.normal(size=(n, 1)) * 0.7
        bent = np.where(
            _some(rng, n, 0.5), np.maximum(x, 0), np.sin(x * _scale(rng, n, 0.5, 4))
        )
        x = np.where(_some(rng, n, 0.7), bent, x)
    return x[:, -length:]


FAMILIES: list[Family] = [
    _colored,
    _seasonal,
    _steps,
    _shapes,
    _pulses,
    _chirps,
    _outlines,
    _dynamics,
    _networks,
]
