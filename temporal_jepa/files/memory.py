"""How much memory there is, and what to say when it is not enough; no torch."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

SWITCH = "TEMPORAL_JEPA_MEMORY_CHECK"
"""Environment variable; 0 goes on although an estimate says that memory is too small."""

# What torch says in a RuntimeError, and C++ in any, when memory cannot be had.
SIGNS = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "bad_alloc",
    "storage size calculation overflowed",
    "numel: integer multiplication overflow",
    "cuda_error_out_of_memory",
)
GROUPS = Path("/sys/fs/cgroup")


class ExplainedError(MemoryError):
    """A shortage of memory whose message says what to change."""


def available() -> int | None:
    """Bytes that this process can still take: of the machine, its container and `ulimit -v`.

    None where the system does not say.
    """
    found = [_of_machine(), *_of_containers(), _of_process()]
    known = [amount for amount in found if amount is not None]
    return min(known) if known else None


def check(needed: int, what: str, advice: str, limit: int | None = None) -> None:
    """Refuse to begin what does not fit; `SWITCH` says to go on, since `needed` is an estimate.

    Args:
        needed: bytes, estimated.
        what: needs them.
        advice: settings to change, with values that fit.
        limit: bytes that there are; default: `available()`.

    Raises:
        MemoryError: if `needed` exceeds `limit`.
    """
    limit = available() if limit is None else limit
    if limit is None or needed <= limit or os.environ.get(SWITCH) == "0":
        return
    raise ExplainedError(
        f"{what} needs about {readable(needed)} of memory and {readable(limit)} is free: {advice}; "
        f"the number is an estimate, {SWITCH}=0 goes on anyway"
    )


def is_shortage(error: BaseException) -> bool:
    """Whether an error says that memory cannot be had; torch has no type of its own for it."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in SIGNS)


def is_explained(error: BaseException) -> bool:
    """Whether the message of a shortage of memory says what to change."""
    return isinstance(error, ExplainedError)


@contextlib.contextmanager
def explained(advice: str) -> Iterator[None]:
    """Turn any shortage of memory in the block into a MemoryError that says what to change.

    Args:
        advice: settings to change, such as "lower batch_size (32)".
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_shortage(error) or is_explained(error):
            raise
        raise ExplainedError(f"{describe(error)}: {advice}") from error


def describe(error: BaseException) -> str:
    """A shortage of memory in a few words, without what only its library understands."""
    kind = " of the GPU" if "cuda" in str(error).lower() else ""
    return f"out of memory{kind}"


def readable(amount: int) -> str:
    """Bytes for people.

    >>> readable(3 * 2**29), readable(5 * 2**20), readable(10**30)
    ('1.5 GiB', '5 MiB', '9.3e+20 GiB')
    """
    if amount < 2**30:
        return f"{amount / 2**20:.0f} MiB"
    gib = amount / 2**30
    return f"{gib:,.1f} GiB" if gib < 1e6 else f"{gib:.1e} GiB"


def _of_machine() -> int | None:
    """Memory that programs can have without swapping."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _of_containers() -> list[int]:
    """What the control groups of this process, version 2 or 1, leave."""
    found = []
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text("utf-8").splitlines():
            _, controllers, name = line.split(":", 2)
            if controllers == "":
                root, limit, used = GROUPS, "memory.max", "memory.current"
            elif "memory" in controllers.split(","):
                root = GROUPS / "memory"
                limit, used = "memory.limit_in_bytes", "memory.usage_in_bytes"
            else:
                continue
            folder = root / name.lstrip("/")
            for group in (folder, *folder.parents):
                if group.is_relative_to(root):
                    found += _left_in(group / limit, group / used)
    return found


def _left_in(limit: Path, used: Path) -> list[int]:
    """Bytes between two numbers on disk; nothing where a group has no limit."""
    try:
        left = int(limit.read_text("ascii")) - int(used.read_text("ascii"))
    except (OSError, ValueError):  # no such group, or "max"
        return []
    reclaimable = 0  # files that the group has in the cache count as used
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in limit.with_name("memory.stat").read_text("ascii").splitlines():
            if line.split()[0] in ("inactive_file", "total_inactive_file"):
                reclaimable = int(line.split()[1])
    return [max(left + reclaimable, 0)]


def _of_process() -> int | None:
    """What `ulimit -v` leaves of the address space."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit == resource.RLIM_INFINITY:
            return None
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        return max(limit - pages * resource.getpagesize(), 0)
    except (ImportError, OSError, ValueError, AttributeError):  # Windows, macOS
        return None
