"""Does an encoder find the state of a system under noise? Two pendulums seen through 32 channels.

python benchmarks/hidden_state.py --out hidden.csv [--worlds 1 2 3] [--noise white-5 fixed-2]
python benchmarks/hidden_state.py --summary hidden.csv

Claim, written before the run: with the recommended settings, `NextLatent` and `MaskedContrast` find
the state (R squared above .6) under white noise 5 and under noise 2 that is fixed in a sequence;
the objective of the configuration and random initialization do not under white noise.

The system: two coupled pendulums (two angles, two speeds; frequency, coupling and damping are drawn
for each sequence) for 64 timesteps. A random two-layer network turns the state into 32 channels.
Eight noise sources are mixed in at random, so many times as strong as the signal: "white" is added
and new at each timestep; "fixed" is one draw for a sequence and enters before the nonlinearity. A
world is one draw of network and mixture. A token is a patch of 4 timesteps.

Score: R squared of the state in the middle of a patch, predicted as the mean of its 5 nearest
tokens (standardized features, nothing fitted) among the tokens of 400 sequences, on 60 others.
Encoders are trained on 3,000 sequences, 600 steps of 64. For encoders, "first" is the tokenizer's
output and "last" the last layer; each has its own row. Controls: raw values, 16 principal
components and 16 slow features of each timestep, 4 timesteps a token; random initialization.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from results import Results, markdown_table, parser_of
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import StandardScaler

from temporal_jepa import PretrainConfig, Sequences
from temporal_jepa.model.objectives import MaskedContrast, NextLatent, Objective
from temporal_jepa.training.initial import initial_model
from temporal_jepa.training.trainer import train

TIMESTEPS = 64
CHANNELS = 32
SOURCES = 8
HIDDEN = 48
PATCH = 4
KEPT = 16  # principal components, slow features
COLUMNS = ("world", "noise", "method", "near", "relative_loss", "cpu_s")
Array = npt.NDArray[np.float64]

ENCODERS: Mapping[str, tuple[Objective | None, dict[str, Any]]] = {
    "random initialization": (None, {"steps": 0}),
    "masked latents, EMA": (None, {}),
    "next latent, across": (NextLatent((1,), "across"), {}),
    "next latent": (NextLatent((1,)), {}),
    "next latent, 1 2 4": (NextLatent(), {}),
    "masked contrast": (MaskedContrast(), {}),
    "masked contrast, two blocks": (MaskedContrast(), {"encoder_depth": 2}),
}


def swing(random: np.random.Generator, count: int) -> Array:
    """Angles and speeds of `count` pairs of pendulums: `(count, TIMESTEPS, 4)`."""
    frequency = random.uniform(0.2, 0.5, (count, 1))
    coupling = random.uniform(0, 0.5, (count, 1))
    damping = random.uniform(0, 0.03, (count, 1))
    angle = random.uniform(-2, 2, (count, 2))
    speed = random.normal(0, 0.2, (count, 2))
    states = np.empty((count, TIMESTEPS, 4))
    parts = 4  # of a timestep, integrated by the symplectic Euler method
    for timestep in range(TIMESTEPS):
        states[:, timestep] = np.concatenate([angle, speed / frequency], axis=1)
        for _ in range(parts):
            pull = np.sin(angle) + coupling * (angle - angle[:, ::-1])
            speed = speed - (frequency**2 * pull + damping * speed) / parts
            angle = angle + speed / parts
    return states


def coordinates(states: Array) -> Array:
    """Sine and cosine of angles, and speeds: `(..., 4)` -> `(..., 6)`."""
    angles, speeds = states[..., :2], states[..., 2:]
    return np.concatenate([np.sin(angles), np.cos(angles), speeds], axis=-1)


class World:
    """An observation network and a mixture of noise sources, drawn from a seed."""

    def __init__(self, seed: int):
        random = np.random.default_rng([seed, 1])
        self.first = 0.8 * random.normal(size=(6, HIDDEN))
        self.bias = random.normal(size=HIDDEN)
        self.second = random.normal(size=(HIDDEN, CHANNELS))
        mixture = random.normal(size=(SOURCES, CHANNELS))
        self.mixture = mixture / np.linalg.norm(mixture, axis=0)
        within = random.normal(size=(SOURCES, HIDDEN)) / np.sqrt(SOURCES)
        self.within = within * np.linalg.norm(self.first, axis=0) / 1.4
        seen = self.observe(coordinates(swing(random, 300)))
        self.mean = seen.mean((0, 1))
        self.std = seen.std((0, 1))

    def observe(self, state: Array, noise: Array | float = 0.0) -> Array:
        """`(n, T, 6)` and noise `(n, T, HIDDEN)` -> `(n, T, CHANNELS)`."""
        return np.asarray(np.tanh(state @ self.first + self.bias + noise) @ self.second)

    def draw(
        self, seed: int, count: int, kind: str, strength: float
    ) -> tuple[Array, Array]:
        """Noisy channels `(n, T, CHANNELS)` and the state `(n, T, 6)` of `count` sequences."""
        random = np.random.default_rng([seed, 2])
        state = coordinates(swing(random, count))
        if kind == "white":
            noise = strength * random.normal(size=(count, TIMESTEPS, SOURCES))
            seen = (self.observe(state) - self.mean) / self.std + noise @ self.mixture
        else:
            noise = strength * random.normal(size=(count, 1, SOURCES))
            seen = self.observe(state, noise @ self.within)
            seen = (seen - seen.mean((0, 1))) / seen.std((0, 1))
        return seen + 0.1 * random.normal(size=seen.shape), state


def near(known: Array, state: Array, asked: Array, wanted: Array) -> float:
    """R squared of the mean state of the 5 nearest tokens; tokens `(n, N, F)`."""
    scaler = StandardScaler().fit(_flat(known))
    nearest = KNeighborsRegressor(5, algorithm="brute")
    nearest.fit(scaler.transform(_flat(known)), _flat(_middle(state)))
    truth = _flat(_middle(wanted))
    error = nearest.predict(scaler.transform(_flat(asked))) - truth
    return float(1 - (np.square(error).mean(0) / truth.var(0)).mean())


def _flat(x: Array) -> Array:
    return x.reshape(-1, x.shape[-1])


def _middle(state: Array) -> Array:
    """The state in the middle of each patch: `(n, T, 6)` -> `(n, N, 6)`."""
    return state[:, PATCH // 2 :: PATCH]


def linear_controls(training: Array) -> dict[str, Callable[[Array], Array]]:
    """Methods without a network, `(n, T, C)` -> `(n, N, F)`: projections of each timestep."""
    flat = _flat(training)
    mean = flat.mean(0)
    variance, directions = np.linalg.eigh(np.cov((flat - mean).T))
    white = directions / np.sqrt(variance + 1e-9)
    whitened = (training - mean) @ white
    lagged = _flat(whitened[:, PATCH:]).T @ _flat(whitened[:, :-PATCH])
    slow = white @ np.linalg.eigh(lagged + lagged.T)[1][:, ::-1]
    maps = {
        "raw values": np.eye(CHANNELS),
        "principal components": directions[:, ::-1][:, :KEPT],
        "slow features": slow[:, :KEPT],
    }

    def projected(matrix: Array) -> Callable[[Array], Array]:
        width = PATCH * matrix.shape[1]
        return lambda x: ((x - mean) @ matrix).reshape(len(x), -1, width)

    return {name: projected(matrix) for name, matrix in maps.items()}


def encode(model: Any, x: Array) -> tuple[Array, Array]:
    """Tokens of the tokenizer and of the last layer, `(n, N, D)` each."""
    encoder = model.target_encoder
    with torch.no_grad():
        parts = [
            encoder.encode(*encoder.prepare(part)).layers
            for part in torch.from_numpy(x.astype(np.float32)).split(100)
        ]
    first, last = (torch.cat([part[k] for part in parts]).numpy() for k in (0, -1))
    return first, last


def main() -> None:
    """Run or summarize."""
    parser = parser_of(__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--worlds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--noise", nargs="+", default=["white-5", "fixed-2"])
    parser.add_argument("--methods", nargs="+", default=["controls", *ENCODERS])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--train", type=int, default=3000)
    parser.add_argument("--summary", type=Path, help="print the table of a CSV file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.summary:
        summarize(options.summary)
        return
    if not options.out:
        parser.error("--out is missing; for example --out hidden.csv")
    results = Results(options.out, COLUMNS)
    for world in options.worlds:
        for noise in options.noise:
            run(results, world, noise, options)
    summarize(options.out)


def run(results: Results, seed: int, noise: str, options: Any) -> None:
    """Score all methods in one world; rows that exist are kept."""
    world = World(seed)
    kind, _, strength = noise.partition("-")
    training, _ = world.draw(1000 + seed, options.train, kind, float(strength))
    known, state = world.draw(2000 + seed, 400, kind, float(strength))
    asked, wanted = world.draw(3000 + seed, 60, kind, float(strength))
    place = {"world": seed, "noise": noise}
    done = results.done("world", "noise", "method")

    def add(method: str, a: Array, b: Array, **more: object) -> None:
        score = near(a, state, b, wanted)
        results.add({**place, "method": method, "near": f"{score:.4f}", **more})
        print(seed, noise, method, f"{score:.3f}", flush=True)

    if "controls" in options.methods:
        for name, project in linear_controls(training).items():
            if (str(seed), noise, name) not in done:
                add(name, project(known), project(asked))
    data = Sequences.from_arrays(training.transpose(0, 2, 1).astype(np.float32))
    for name in ENCODERS:
        if name not in options.methods or (str(seed), noise, f"{name}, last") in done:
            continue
        began = time.process_time()
        model, loss = trained(name, data, seed, options.steps)
        more = {
            "relative_loss": f"{loss:.3f}",
            "cpu_s": f"{time.process_time() - began:.0f}",
        }
        for layer, a, b in zip(
            ("first", "last"), encode(model, known), encode(model, asked), strict=True
        ):
            add(f"{name}, {layer}", a, b, **more)


def trained(name: str, data: Sequences, seed: int, steps: int) -> tuple[Any, float]:
    """A model of `ENCODERS` after training, and its last relative loss."""
    objective, given = ENCODERS[name]
    settings = {"tokenizer": "patch", "patch_len": PATCH, "seq_len": TIMESTEPS, **given}
    steps = settings.pop("steps", steps)
    model = initial_model(data, seed, objective, **settings)
    if not steps:
        return model.eval(), 1.0
    config = PretrainConfig(
        steps, 64, seed=seed, device="cpu", crop=1.0, watch_every=10**6
    )
    rows: list[dict[str, Any]] = []
    train(model, data, config, on_row=rows.append)
    return model, rows[-1]["relative_loss"]


def summarize(path: Path) -> None:
    """Print R squared by method: each world, and the mean."""
    rows = Results(path, COLUMNS).rows()
    kinds = list(dict.fromkeys(row["noise"] for row in rows))
    table = []
    for method in dict.fromkeys(row["method"] for row in rows):
        cells = [method]
        for noise in kinds:
            scores = [
                float(row["near"])
                for row in rows
                if row["method"] == method and row["noise"] == noise
            ]
            each = " ".join(f"{score:.2f}" for score in scores)
            cells.append(f"{np.mean(scores):.3f} ({each})" if scores else "")
        seconds = [
            float(row["cpu_s"])
            for row in rows
            if row["method"] == method and row["cpu_s"]
        ]
        cells.append(f"{np.mean(seconds):.0f}" if seconds else "")
        table.append(cells)
    print(markdown_table(["tokens", *kinds, "CPU s"], table))


if __name__ == "__main__":
    main()
