"""Scripts in processes of their own, which import from the tests; several are one run.

They are forked from a server that has imported torch and the package once, in a few milliseconds
and not in seconds each. Nothing was trained in that server, so what they find is a new process.
"""

import multiprocessing
import os
import runpy
import socket
import sys
from multiprocessing import connection, forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from unittest import mock

PATIENCE = 300  # seconds that a script may take
PATHS = [str(Path(__file__).parent), str(Path(__file__).parent / "training")]
FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(
    [
        "temporal_jepa.cli.pretrain",
        "temporal_jepa.estimators.embedder",
        "temporal_jepa.training.run",
        "torch.distributed.launcher.api",
        "torch._dynamo",
        "torch.distributed.checkpoint",
        "torch.distributed.fsdp",
    ]
)


def _environment(**changes: object) -> dict[str, str]:
    """Of a script: as here, with one thread, and modules of the tests can be imported."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*PATHS, *sys.path]),
        "OMP_NUM_THREADS": "1",
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
        **{name: str(value) for name, value in changes.items()},
    }


def start_script(
    script: Path, *words: object, output: Path, **environment: object
) -> BaseProcess:
    """Start a script in a forked process; what it prints and its errors go to a file."""
    settings = _environment(**environment)
    with mock.patch.dict(os.environ, settings):
        forkserver.ensure_running()
        given = (str(script), [str(word) for word in words], str(output), settings)
        process = FORKING.Process(target=_run, args=given)
        process.start()
    return process


def _run(
    script: str, words: list[str], output: str, environment: dict[str, str]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.argv = [script, *words]
    sys.path[:0] = PATHS
    runpy.run_path(script, run_name="__main__")


def run_script(tmp_path: Path, text: str, *words: str, processes: int = 1) -> str:
    """The output of a script, whose first word is `tmp_path`.

    Several processes have the variables that `torchrun` sets; the first holds the store.

    Raises:
        AssertionError: if one fails, with the end of what all said.
    """
    script = tmp_path / "main.py"
    script.write_text(text)
    group = {}
    if processes > 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        group |= {"WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
    running = []
    for rank in range(processes):
        ranks = {"RANK": rank, "LOCAL_RANK": rank} if group else {}
        output = tmp_path / f"output-{rank}.txt"
        output.unlink(missing_ok=True)
        running.append(
            start_script(script, tmp_path, *words, output=output, **group, **ranks)
        )
    codes = wait(running)
    said = "".join(
        (tmp_path / f"output-{rank}.txt").read_text() for rank in range(processes)
    )
    assert codes == [0] * processes, f"{codes}: {said[-5000:]}"
    return said


def wait(running: list[BaseProcess]) -> list[int | None]:
    """Exit codes of processes; the others of one that fails are killed."""
    left = list(running)
    while left:
        ended = connection.wait([process.sentinel for process in left], PATIENCE)
        left = [process for process in left if process.sentinel not in ended]
        codes = [process.exitcode for process in running if process not in left]
        if not ended or any(codes):
            for process in left:
                process.kill()
    for process in running:
        process.join()
    return [process.exitcode for process in running]
