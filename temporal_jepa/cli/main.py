"""The command line: starts a verb, prints errors as one line, returns exit codes.

Exit codes: 0 done, 1 the data or settings cannot be used, 2 the command line is wrong, 130
interrupted, 143 terminated, 129 hung up.
"""

import errno
import inspect as introspection
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..files.memory import describe as describe_shortage
from ..files.memory import is_explained, is_shortage
from ..version import __version__
from .console import command_to_resume, complain, is_first_process, warn
from .demo import demo
from .detect import detect
from .embed import embed
from .export import export
from .inspect import doctor, inspect
from .nearest import nearest
from .options import UsageError, as_flags, did_you_mean, parse
from .prepare import prepare
from .pretrain import pretrain
from .probe import probe
from .report import report
from .states import states
from .writing import default_path

TRACEBACK = "TEMPORAL_JEPA_TRACEBACK"

VERBS: Mapping[str, Callable[..., None]] = {
    "prepare": prepare,
    "pretrain": pretrain,
    "embed": embed,
    "probe": probe,
    "report": report,
    "detect": detect,
    "states": states,
    "nearest": nearest,
    "export": export,
    "inspect": inspect,
    "doctor": doctor,
    "demo": demo,
}
EXPECTED = (ValueError, OSError, ArithmeticError, ImportError, MemoryError)
"""Errors of data, settings or machine. Any other is a defect here and keeps its traceback."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, `sys.argv` when no arguments are given, and return the exit code."""
    _open_closed_streams()
    words = list(sys.argv[1:] if arguments is None else arguments)
    show = "--traceback" in words or os.environ.get(TRACEBACK, "") not in ("", "0")
    words = [word for word in words if word != "--traceback"]
    if not words:
        print(overview(), file=sys.stderr)
        return 2
    verb = words[0]
    if verb in ("-h", "--help", "help"):
        print(overview())
        return 0
    if verb == "--version":
        print(f"temporal-jepa {__version__}")
        return 0
    if verb not in VERBS and verb != "surprise":
        hint = did_you_mean(verb, [*VERBS], "temporal-jepa")
        complain(f"error: unknown verb {verb!r}{hint}")
        return 2
    _prepare_libraries()
    return _run(verb, words[1:], show)


def overview() -> str:
    """What `temporal-jepa --help` prints."""
    lines = [
        "usage: temporal-jepa VERB [options]",
        "",
        f"Embeddings of sequences, learned without labels (temporal-jepa {__version__}).",
        "",
        "examples:",
        "  temporal-jepa demo",
        "  temporal-jepa inspect data.csv",
        "  temporal-jepa pretrain --data data.csv --out runs/a",
        "  temporal-jepa embed runs/a data.csv",
        "",
        "verbs:",
    ]
    for name, verb in VERBS.items():
        summary = (introspection.getdoc(verb) or "").splitlines()[0]
        lines.append(f"  {name:<10}{summary.rstrip('.')}")
    lines += [
        "",
        "options of a verb: temporal-jepa VERB --help",
        "also: --version, --traceback (show where an error came from)",
    ]
    return "\n".join(lines)


def _run(name: str, words: Sequence[str], show: bool) -> int:
    """Parse and run a verb; print what goes wrong and return the exit code."""
    arguments: dict[str, Any] = {}
    before = _stop_on_signals()
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *rest: warn(str(message))
        try:
            verb = VERBS.get(name, detect)  # `surprise` is an old name of it
            arguments = parse(verb, words)
            if name == "surprise":
                _use_old_defaults(arguments)
            verb(**arguments)
            sys.stdout.flush()
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # twice is as once
            _say_interrupted(name, arguments)
            return 130
        except (
            SystemExit
        ) as stop:  # 0 after --help, 143 after SIGTERM, 129 after SIGHUP
            return _exit_code(name, stop, arguments)
        except BrokenPipeError:
            _is_stdout_closed()
            return 141
        except UsageError as error:
            complain(f"error: {' '.join(str(error).split())}")
            return 2
        except (*EXPECTED, RuntimeError) as error:
            if show or _is_defect(error):
                raise
            complain(f"error: {describe(error, name)}{_after(error, arguments)}")
            return 1
        finally:
            _restore_signals(before)
    return 0


def _stop_on_signals() -> dict[signal.Signals, Any]:
    """Leave in order after SIGTERM and SIGHUP; returns the handlers before.

    A signal that is ignored, as SIGHUP under nohup, still is.
    """
    before = {signal.SIGINT: signal.getsignal(signal.SIGINT)}
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, _leave)
    return before


def _restore_signals(before: Mapping[signal.Signals, Any]) -> None:
    for number, handler in before.items():
        signal.signal(number, handler)


def _exit_code(name: str, stop: SystemExit, arguments: Mapping[str, Any]) -> int:
    code = int(stop.code or 0)
    if code > 128:
        _say_interrupted(name, arguments)
    return code


def _leave(number: int, frame: object) -> None:
    sys.exit(128 + number)


def _is_defect(error: BaseException) -> bool:
    """Whether an error is none of `EXPECTED` and no shortage of memory, a RuntimeError in torch."""
    return isinstance(error, RuntimeError) and not is_shortage(error)


ADVICE = {
    "pretrain": "lower --batch-size, --seq-len or --embed-dim, or raise --accumulate",
    "embed": "embed fewer series at once, shorter ones (--window), or with --pool mean",
    "export": "lower --length",
}
"""Verb -> what to change when memory runs out; of others, less data."""


def describe(error: BaseException, verb: str = "") -> str:
    """An error as one line for a person; a question keeps the small tables of its readings.

    Args:
        error: any.
        verb: what was run.
    """
    if hasattr(error, "readings"):
        return as_flags(str(error))
    if is_shortage(error) and not is_explained(error):
        advice = ADVICE.get(verb, "use less data, or cut series with --window")
        return f"{describe_shortage(error)}: {advice}"
    if not isinstance(error, OSError) or not error.errno or not error.strerror:
        return as_flags(" ".join(str(error).split())) or type(error).__name__
    if not error.filename and _is_stdout_closed():
        return f"standard output cannot be written: {error.strerror}"
    hints = {
        errno.ENOSPC: "; free some space, then continue a stopped training with --resume",
        errno.EDQUOT: "; your quota is used up: free some space, or choose another folder",
        errno.EFBIG: "; larger than a file may be here: see ulimit -f, or choose another disk",
        errno.EACCES: "; choose a folder that you may write to",
        errno.EROFS: "; choose a folder that you may write to",
        errno.EMFILE: "; allow more open files: ulimit -n 4096",
    }
    name = f"{error.filename}: " if error.filename else ""
    return f"{name}{error.strerror[0].lower()}{error.strerror[1:]}{hints.get(error.errno, '')}"


def _say_interrupted(name: str, arguments: Mapping[str, Any]) -> None:
    """Say it once; of several processes of a run the first one does."""
    if "training" not in arguments or is_first_process():
        complain(_interrupted(name, arguments))


def _interrupted(name: str, arguments: Mapping[str, Any]) -> str:
    run = arguments.get("out")
    again = _again(arguments)
    if again:
        return f"interrupted; continue with: {again}"
    embeds_parts = name == "embed" and run and not Path(run).suffix
    if (name == "prepare" and run) or embeds_parts:
        return "interrupted; give the same command again to go on"
    return "interrupted"


def _again(arguments: Mapping[str, Any]) -> str:
    """The command that goes on with a training that has a checkpoint, else ""."""
    run = arguments.get("out")
    if "training" not in arguments or not run:
        return ""
    if not any(Path(run).glob("checkpoint/step-*")):
        return ""
    return command_to_resume(run, arguments.get("data"))


def _after(error: BaseException, arguments: Mapping[str, Any]) -> str:
    """How a training goes on after another of its processes was lost."""
    if not isinstance(error, ConnectionError) or "training" not in arguments:
        return ""
    count, most = (
        int(os.environ.get(f"TORCHELASTIC_{name}", "0"))
        for name in ("RESTART_COUNT", "MAX_RESTARTS")
    )
    if count < most:
        return "; torchrun starts all processes again"
    again = _again(arguments)
    return f"; continue with: {again}" if again else "; start the same command again"


def _use_old_defaults(arguments: dict[str, Any]) -> None:
    """The deprecated verb `surprise` is `detect` with another default of --out."""
    print("note: the verb surprise is now detect", file=sys.stderr)
    arguments.setdefault("out", str(default_path(arguments["run"], "surprise.csv")))


def _open_closed_streams() -> None:
    """Replace standard streams that the parent process closed (`temporal-jepa ... >&-`)."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115


def _is_stdout_closed() -> bool:
    """Whether standard output takes no more; it is then redirected, or Python complains at exit."""
    try:
        print(flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _prepare_libraries() -> None:
    """Settings that torch, numba and matplotlib read when they are loaded."""
    # OpenMP's threads otherwise spin while they wait, and those of numba, which MiniRocket runs in,
    # disturb torch's: on busy cores each makes what follows 10 to 30 times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("NUMBA_THREADING_LAYER", "workqueue")
    # A home that cannot be written to slows matplotlib down a little: no reason for a warning.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
