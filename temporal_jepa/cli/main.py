"""The command line: starts a verb, prints errors as one line, returns exit codes.

Exit codes: 0 done, 1 the data or settings cannot be used, 2 the command line is wrong, 130
interrupted, 143 terminated, 129 hung up, 141 the reader of standard output closed the pipe.
"""

import errno
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

from ..files.memory import describe as describe_shortage
from ..files.memory import is_explained, is_shortage
from ..version import __version__
from .completion import script_for
from .console import (
    answer_in_json,
    command_to_resume,
    complain,
    is_first_process,
    print_json,
    record,
    show_lines,
    warn,
)
from .demo import demo
from .detect import detect
from .embed import embed
from .export import export
from .inspect import doctor, inspect
from .nearest import nearest
from .options import OF_ALL_VERBS, UsageError, as_flags, did_you_mean, parse, summary
from .prepare import prepare
from .pretrain import pretrain
from .probe import probe
from .report import report
from .serve import serve
from .states import states
from .writing import default_path

TRACEBACK = "TEMPORAL_JEPA_TRACEBACK"


def completion(shell: Literal["bash", "zsh", "fish"]) -> None:
    """Print a script that completes verbs, options and paths in a shell.

    Examples:
        temporal-jepa completion bash > ~/.local/share/bash-completion/completions/temporal-jepa
        temporal-jepa completion zsh > ~/.zfunc/_temporal-jepa
        temporal-jepa completion fish > ~/.config/fish/completions/temporal-jepa.fish

    Args:
        shell: what reads the script.
    """
    script = script_for(shell, VERBS)
    record(shell=shell, script=script)
    show_lines(*script.splitlines())


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
    "serve": serve,
    "inspect": inspect,
    "doctor": doctor,
    "completion": completion,
    "demo": demo,
}
EXPECTED = (ValueError, OSError, ArithmeticError, ImportError, MemoryError)
"""Errors of data, settings or machine. Any other is a defect here and keeps its traceback."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, `sys.argv` when no arguments are given, and return the exit code."""
    _open_closed_streams()
    words = list(sys.argv[1:] if arguments is None else arguments)
    show = "--traceback" in words or os.environ.get(TRACEBACK, "") not in ("", "0")
    as_json = "--json" in words and not {"-h", "--help"} & set(words)
    words = [word for word in words if word not in OF_ALL_VERBS]
    if not words:
        print(overview(), file=sys.stderr)
        if as_json:
            print_json({"error": "expected a verb: temporal-jepa VERB"})
        return 2
    verb = words[0]
    if verb in ("-h", "--help", "help"):
        print(overview())
        return 0
    if verb == "--version":
        _print_version(as_json)
        return 0
    if verb not in VERBS and verb != "surprise":
        hint = did_you_mean(verb, [*VERBS], "temporal-jepa")
        return _fail(f"unknown verb {verb!r}{hint}", 2, as_json)
    _prepare_libraries()
    with _stopped_by_signals(ends=arguments is None):
        return _run(verb, words[1:], show, as_json)


def _print_version(as_json: bool) -> None:
    if as_json:
        print_json({"version": __version__})
    else:
        print(f"temporal-jepa {__version__}")


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
        lines.append(f"  {name:<13}{summary(verb)}")
    lines += [
        "",
        "options of a verb: temporal-jepa VERB --help",
        "also: --version",
        "",
        "of all verbs:",
        *(f"  {name:<13}{text}" for name, text in OF_ALL_VERBS.items()),
    ]
    return "\n".join(lines)


def _run(name: str, words: Sequence[str], show: bool, as_json: bool) -> int:
    """Parse and run a verb; print what goes wrong and return the exit code."""
    arguments: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *rest: warn(str(message))
        try:
            with answer_in_json() if as_json else nullcontext():
                _call(name, words, arguments)
            sys.stdout.flush()
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # twice is as once
            return _stop(name, arguments, 130, as_json)
        except (
            SystemExit
        ) as stop:  # 0 after --help, 143 after SIGTERM, 129 after SIGHUP
            code = int(stop.code or 0)
            if code > 128:
                _stop(name, arguments, code, as_json)
            return code
        except BrokenPipeError:
            _is_stdout_closed()
            return 141
        except UsageError as error:
            return _fail(" ".join(str(error).split()), 2, as_json)
        except (*EXPECTED, RuntimeError) as error:
            if show or _is_defect(error):
                raise
            text = f"{describe(error, name)}{_after(error, arguments)}"
            return _fail(text, 1, as_json)
    return 0


def _call(name: str, words: Sequence[str], arguments: dict[str, Any]) -> None:
    """Run a verb; its arguments are put into `arguments`."""
    verb = VERBS.get(name, detect)  # `surprise` is an old name of it
    arguments.update(parse(verb, words))
    if name == "surprise":
        _use_old_defaults(arguments)
    verb(**arguments)


def _fail(text: str, code: int, as_json: bool) -> int:
    """Print what went wrong, on standard output too for programs; returns the exit code."""
    complain(text if code > 128 else f"error: {text}")
    if as_json:
        try:
            print_json({"error": text})
        except OSError:  # nothing reads it; the line above was printed
            _is_stdout_closed()
    return code


@contextmanager
def _stopped_by_signals(ends: bool) -> Iterator[None]:
    """Leave in order after SIGINT, SIGTERM and SIGHUP.

    A signal that is ignored, as SIGHUP under nohup, still is.

    ends: whether the process ends then, so that Ctrl-C has nothing left to interrupt.
    """
    before: dict[signal.Signals, Any] = {}
    handlers = {"SIGINT": _interrupt, "SIGTERM": _leave, "SIGHUP": _leave}
    for name, handler in handlers.items():
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if ends:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _interrupt(number: int, frame: object) -> None:
    """Stop at the first Ctrl-C; a second one would interrupt the way out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


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


def _stop(name: str, arguments: Mapping[str, Any], code: int, as_json: bool) -> int:
    """Say once what was interrupted; of several processes of a run the first one does."""
    if "training" in arguments and not is_first_process():
        return code
    return _fail(_interrupted(name, arguments), code, as_json)


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
    return command_to_resume(run, arguments.get("data"), arguments.get("callback"))


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
