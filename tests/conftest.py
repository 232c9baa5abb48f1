"""Settings that every test shares: one thread a process, and property tests that give the same answer every time."""

import hypothesis
import torch

torch.set_num_threads(1)  # pytest-xdist runs one process a core
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=50)
hypothesis.settings.load_profile("repeatable")
