"""Settings that every test shares: one thread per process, repeatable property tests."""

import hypothesis
import pytest
import torch

torch.set_num_threads(1)  # pytest-xdist runs one process per core
hypothesis.settings.register_profile(
    "repeatable", derandomize=True, deadline=None, max_examples=50
)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """MiniRocket (numba) sets the number of OpenMP threads of the process, which torch shares."""
    torch.set_num_threads(1)
