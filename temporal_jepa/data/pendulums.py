"""Synthetic recordings of a hidden system: two coupled pendulums, seen through noisy channels.

Everything about them is known: the state at each timestep and the constants of each pair.
"""

from dataclasses import dataclass

import numpy as np

from .sequences import Array

HIDDEN = 48  # units of the network from state to channels
SOURCES = 8  # of noise, mixed into the channels
PARTS = 4  # of a timestep in the integration


@dataclass(frozen=True)
class Swings:
    """Motion of pairs of pendulums.

    Attributes:
        states: ``(n, timesteps, 6)``: sine and cosine of both angles, both speeds over the
            frequency.
        frequency: ``(n,)`` radians per timestep of a small swing.
        coupling: ``(n,)`` strength of the spring between both, 0 to 0.5.
    """

    states: Array
    frequency: Array
    coupling: Array


def swing(random: np.random.Generator, n: int, timesteps: int = 64) -> Swings:
    """Pairs of pendulums with random constants, angles and speeds.

    Args:
        random: random state.
        n: number of pairs.
        timesteps: of each motion.
    """
    frequency = random.uniform(0.2, 0.5, (n, 1))
    coupling = random.uniform(0, 0.5, (n, 1))
    damping = random.uniform(0, 0.03, (n, 1))
    angle = random.uniform(-2, 2, (n, 2))
    speed = random.normal(0, 0.2, (n, 2))
    states = np.empty((n, timesteps, 6))
    for timestep in range(timesteps):
        states[:, timestep] = np.concatenate(
            [np.sin(angle), np.cos(angle), speed / frequency], axis=1
        )
        for _ in range(PARTS):  # symplectic Euler method
            pull = np.sin(angle) + coupling * (angle - angle[:, ::-1])
            speed = speed - (frequency**2 * pull + damping * speed) / PARTS
            angle = angle + speed / PARTS
    return Swings(states, frequency[:, 0], coupling[:, 0])


def generate_recordings(
    n: int, seed: int = 0, noise: float = 2.0, channels: int = 32, timesteps: int = 64
) -> tuple[Array, Swings]:
    """Recordings of pendulums through a random nonlinear network, under white noise.

    The network and the mixture of the eight noise sources are the same for all seeds, so that
    recordings of two seeds can be compared.

    Args:
        n: number of recordings.
        seed: of motions and noise.
        noise: strength of the noise, in standard deviations of the signal.
        channels: of a recording.
        timesteps: of a recording.

    Returns:
        float32 ``(n, channels, timesteps)``, and the truth.

    >>> x, truth = generate_recordings(5)
    >>> x.shape, truth.states.shape
    ((5, 32, 64), (5, 64, 6))
    """
    world = np.random.default_rng(0)
    first = 0.8 * world.normal(size=(6, HIDDEN))
    bias = world.normal(size=HIDDEN)
    second = world.normal(size=(HIDDEN, channels))
    mixture = world.normal(size=(SOURCES, channels))
    mixture /= np.linalg.norm(mixture, axis=0)

    def observe(states: Array) -> Array:
        seen: Array = np.tanh(states @ first + bias) @ second
        return seen

    typical = observe(swing(world, 300, timesteps).states)
    random = np.random.default_rng([seed, 1])
    truth = swing(random, n, timesteps)
    signal = observe(truth.states) - typical.mean((0, 1))
    signal /= typical.std((0, 1))
    sources = random.normal(size=(n, timesteps, SOURCES))
    x = signal + noise * sources @ mixture + 0.1 * random.normal(size=signal.shape)
    return x.transpose(0, 2, 1).astype(np.float32), truth
