"""What do checkpoints cost a run?

python benchmarks/checkpoint_cost.py [--blocks 10] [--embed-dim 64] [--every 100]

Trains with the recommended settings in blocks of `--every` steps. Every second block begins with a
checkpoint that is written while training goes on, flushed to disk, and awaited at the end of the
block. Prints the median CPU time of a block of each kind and their difference, the same for wall
time, and the part of it in which training stands still. Then the CPU time of a checkpoint and of
its checksums without training beside it, which other processes on the machine disturb least.
"""

import argparse
import statistics
import tempfile
import time
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch

from temporal_jepa import RECIPE, PretrainConfig, Sequences
from temporal_jepa.training.batches import plan_batches
from temporal_jepa.training.checkpoints import Checkpoints
from temporal_jepa.training.initial import initial_model
from temporal_jepa.training.trainer import Trainer


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--blocks", type=int, default=10)
    parser.add_argument("--embed-dim", type=int, default=64)
    parser.add_argument("--every", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    sequences = Sequences.from_arrays(
        list(rng.standard_normal((256, 4, 256)).cumsum(2))
    )
    config = PretrainConfig(steps=10**6, device="cpu").resolved(len(sequences))
    model = initial_model(
        sequences, **{**RECIPE, "embed_dim": options.embed_dim, "seq_len": 256}
    )
    trainer = Trainer(model, plan_batches(model, sequences, config), config)
    cpu: dict[bool, list[float]] = {True: [], False: []}
    wall: dict[bool, list[float]] = {True: [], False: []}
    still = []
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder))
        for block in range(-1, 2 * options.blocks):  # the first one warms up
            is_saved = block % 2 == 0
            began = time.perf_counter()
            cpu_began = time.process_time()
            if is_saved:
                checkpoints.save(trainer.step, trainer.state())
                still.append(time.perf_counter() - began)
            for _ in range(options.every if block >= 0 else 5):
                trainer.train_step()
            if is_saved:
                awaited = time.perf_counter()
                checkpoints.wait()
                still[-1] += time.perf_counter() - awaited
            if block >= 0:
                cpu[is_saved].append(time.process_time() - cpu_began)
                wall[is_saved].append(time.perf_counter() - began)
        alone = []
        for number in range(10):
            cpu_began = time.process_time()
            checkpoints.save(trainer.step + number, trainer.state())
            checkpoints.wait()
            alone.append(time.process_time() - cpu_began)
        written = next(Path(folder).glob("checkpoint/*/00000.safetensors"))
        content = written.read_bytes()
    trainer.prepared.close()
    began = time.process_time()
    sha256(content).hexdigest()
    checksum = time.process_time() - began
    count = sum(weight.numel() for weight in model.parameters())
    print(
        f"{count:,} parameters, {len(content) / 1e6:.1f} MB a checkpoint, {options.every} steps"
    )
    for name, found in (("CPU", cpu), ("wall", wall)):
        without, with_one = (statistics.median(found[kind]) for kind in (False, True))
        print(
            f"{name}: {without:.3f} s without, {with_one:.3f} s with a checkpoint: "
            f"{with_one / without - 1:+.2%}"
        )
    blocks = statistics.median(wall[False])
    print(
        f"training stands still: {statistics.median(still):.3f} s, "
        f"{statistics.median(still) / blocks:.2%}"
    )
    share = statistics.median(alone) / statistics.median(cpu[False])
    print(
        f"a checkpoint alone: {statistics.median(alone) * 1e3:.1f} ms of CPU, {share:.2%}"
    )
    print(
        f"checksums: {checksum * 1e3:.1f} ms, {checksum / statistics.median(cpu[False]):.3%}"
    )


if __name__ == "__main__":
    main()
