"""Settings that every test shares: one thread per process, repeatable property tests."""

import hypothesis
import torch

torch.set_num_threads(1)  # pytest-xdist runs one process per core
hypothesis.settings.register_profile(
    "repeatable", derandomize=True, deadline=None, max_examples=50
)
hypothesis.settings.load_profile("repeatable")
