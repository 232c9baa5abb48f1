"""The report of a run: one self-contained HTML file for its reader, whatever their field.

It is made from the files of the run folder (config.json, metrics.jsonl, model.safetensors,
probe.json) and from the training data, which is read again. A file that is missing leaves out its
section and is named in the report. Each section has a file of its own here that computes its
numbers and figures; the sentences are in `templates/report.html`.
"""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..config import in_words
from ..data import Sequences
from ..evaluation.states import WINDOW, find_states
from ..files import WEIGHTS, write_atomically
from ..files.atomic import check_replaceable
from ..model.objectives import MaskedLatent
from .contents import contents_section
from .embeddings import embed_run
from .groups import find_groups, groups_section
from .map import map_section
from .nearest import neighbors_section
from .nouns import noun_of
from .pages import render_page
from .prediction import prediction_section
from .run import Row, Run, open_run
from .scores import scores_section
from .settings import command_lines, settings_tables
from .states import states_section
from .summary import summary_of
from .surprise import surprise_section
from .svg import spread
from .training import collapse_section, training_section
from .verdict import find_verdict

STATES_OF = 2000  # sequences whose states are found, evenly spaced


def write_report(
    folder: str | Path,
    *,
    sequences: Sequences | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    on_sequences: Callable[[int], None] = lambda count: None,
) -> Path:
    """Write the report of a run folder. The same inputs give the same bytes.

    Args:
        folder: the run folder that `pretrain` wrote; the run may be unfinished.
        sequences: data to draw (default: the training data, read again).
        out: file to write (default: `report.html` in the folder).
        overwrite: replace an existing file.
        on_sequences: called with numbers of sequences that are embedded, by the encoder and by its
            control.

    Returns:
        The path of the report.

    Raises:
        FileNotFoundError: if the folder holds no run.
        FileExistsError: if the file exists and `overwrite` is False, or is a link or no file.
        ValueError: if a JSON file of the run is damaged, the channels of `sequences` are not
            those of the model, or the training data is an address: `read` it, and pass it.
    """
    folder = Path(folder)
    path = Path(out) if out is not None else folder / "report.html"
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"{path} already exists; pass overwrite (--overwrite) to replace it or choose another "
            "file (--out)"
        )
    check_replaceable(path)
    run = open_run(folder, sequences)
    write_atomically(path, render_page("report.html", **_sections(run, on_sequences)))
    return path


def _sections(run: Run, on_sequences: Callable[[int], None]) -> Row:
    """What `templates/report.html` shows; None for a section that cannot be made."""
    scores = scores_section(run.probe)
    embedded = embed_run(run, on_sequences)
    shown: Row = dict.fromkeys(("groups", "space", "neighbors", "compared"))
    if embedded is not None:
        groups = find_groups(embedded)
        shown = {
            "groups": groups_section(embedded, groups),
            "space": map_section(embedded, groups),
            "neighbors": neighbors_section(embedded),
            "compared": embedded.comparison,
        }
    scale = None if embedded is None else embedded.scale
    prediction = prediction_section(run)
    error = None if prediction is None else prediction["mean"]
    recordings = run.recordings()
    surprise = surprise_section(run, embedded, recordings)
    summary: list[str] = []
    if run.sequences is not None:
        summary = summary_of(run.sequences, recordings, shown["groups"], surprise)
    return {
        **shown,
        "summary": summary,
        "config": run.config,
        "headline": _headline(run),
        "noun": noun_of(run.sequences),
        "contents": contents_section(run, scale),
        "verdict": find_verdict(run, scores, shown["compared"], error),
        "scores": scores,
        "states": _states(run),
        "surprise": surprise,
        "masks": prediction,
        "training": training_section(run),
        "positions": collapse_section(run) if _is_course(run) else None,
        "commands": command_lines(run),
        "settings": settings_tables(run),
        "missing": run.missing,
    }


def _is_course(run: Run) -> bool:
    """Whether statistics of the representation were logged more than once."""
    return len(run.logged("rank_per_position")) > 1


def _headline(run: Run) -> Row:
    step = run.rows[-1]["step"] if run.rows else 0
    steps = run.config.get("pretrain", {}).get("steps", math.inf)
    return {
        "name": run.folder.resolve().name,
        "source": Path(str(run.data.get("path", "arrays in memory"))).name,
        "timestep": in_words(run.config["model"], run.data.get("channels")),
        "start": run.start,
        "step": step,
        "finished": step >= steps and (run.folder / WEIGHTS).is_file(),
    }


def _states(run: Run) -> Row | None:
    """Sequences over their states, where the objective leads to tokens that have some.

    Those of masked latents agree with what happens less than statistics of windows do, see
    benchmarks/README.md. Sequences need the tokens of a few moments.
    """
    model = run.model
    if model is None or run.sequences is None:
        return None
    config = model.config
    is_series = config.frame is None and not config.channel_independent
    if not is_series or isinstance(model.objective, MaskedLatent):
        return None
    sequences = run.sequences.select(spread(len(run.sequences), STATES_OF))
    if np.median(sequences.lengths) < 2 * WINDOW * config.patch:
        return None
    return states_section(sequences, find_states(model, sequences))
