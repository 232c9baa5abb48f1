"""Scripts in processes of their own, which import from the tests; also under torchrun."""

import os
import subprocess
import sys
from pathlib import Path


def run_script(
    tmp_path: Path, text: str, *words: str, processes: int = 0, restarts: int = 0
) -> str:
    """The output of a script, whose first word is `tmp_path`.

    Raises:
        AssertionError: if it fails, with the end of what it said.
    """
    script = tmp_path / "main.py"
    script.write_text(text)
    here = Path(__file__).parent
    paths = [str(here), str(here / "training"), *sys.path]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
    }
    command = [sys.executable]
    if processes:
        command += ["-m", "torch.distributed.run", "--standalone"]
        command += [f"--max-restarts={restarts}", f"--nproc-per-node={processes}"]
    command += [str(script), str(tmp_path), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-5000:]
    return done.stdout
