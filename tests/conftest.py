"""Settings that every test shares: one thread per process, repeatable property tests."""

import os
import signal

import hypothesis
import pytest

# Before libraries are loaded, and for child processes: pytest-xdist runs one process per core, and
# threads that wait for others must not use the core of another process meanwhile.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

collect_ignore_glob = ["users/*"]  # scripts, which test_users.py runs

# Shells ignore SIGINT for what they start in the background, nohup SIGHUP, and children inherit it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

torch.set_num_threads(1)
hypothesis.settings.register_profile(
    "repeatable", derandomize=True, deadline=None, max_examples=50
)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """MiniRocket (numba) sets the number of OpenMP threads of the process, which torch shares."""
    torch.set_num_threads(1)
