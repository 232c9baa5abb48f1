"""The training loop, the run folder and what training starts from."""
