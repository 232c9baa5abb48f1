"""What labels are: classes, or numbers to predict."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from .sequences import Sequences, Task, as_numbers
from .tables.readings import AmbiguousError, Reading, likely

Labels = npt.NDArray[np.str_]
MANY = 20  # more classes than this, with few series in each, may be numbers to predict


def task_of(labels: Labels, source: str = "labels") -> Task:
    """What labels ``(n,)`` are, by their values.

    Text and a few whole numbers are classes. Numbers with fractions, most of them distinct, are
    targets of a regression.

    Args:
        labels: as text.
        source: where they come from, for messages.

    Raises:
        AmbiguousError: for many distinct whole numbers, or few with fractions: `task=` decides.
    """
    task = _plausible_task(labels)
    if task is not None:
        return task
    counts = Counter(labels.tolist())
    classes = [[name, count] for name, count in counts.most_common()]
    numbers = [[label] for label in labels.tolist()]
    readings = [
        Reading(
            f"{len(counts)} classes",
            {"task": "classification"},
            ["class", "series"],
            classes,
        ),
        Reading("numbers to predict", {"task": "regression"}, ["target"], numbers),
    ]
    question = f"{source}: the labels, {len(counts)} different numbers in {len(labels)} series, "
    raise AmbiguousError(f"{question}can be classes or numbers to predict", readings)


def with_task(sequences: Sequences, task: Task | None) -> Sequences:
    """The same sequences with what their labels are, as requested or inferred, and a note.

    What is ambiguous stays open, and a note says so: only a probe needs to know.

    Raises:
        ValueError: for a regression on text.
    """
    if sequences.labels is None:
        if task is None:
            return sequences
        note = f"there are no labels, so task={task!r} has no effect; label=COL names their column"
        return replace(sequences, notes=(*sequences.notes, note))
    if task is not None:
        return replace(sequences, task=task)
    if sequences.task is not None:
        return sequences
    inferred = _plausible_task(sequences.labels)
    if inferred == "classification":
        return sequences
    if inferred == "regression":
        note = likely("labels are numbers to predict", "task='classification'")
    else:
        count = len(np.unique(sequences.labels))
        note = (
            f"labels are {count} different numbers: task='classification' or task='regression' "
            "says which, for a probe"
        )
    return replace(sequences, task=inferred, notes=(*sequences.notes, note))


def _plausible_task(labels: Labels) -> Task | None:
    """The only plausible task, None if both are."""
    numbers = as_numbers(labels)
    if numbers is None:
        return "classification"
    n = len(numbers)
    n_distinct = len(np.unique(numbers))
    mostly_distinct = n_distinct > n / 2
    if n_distinct <= 2:
        return "classification"
    if (numbers % 1 != 0).any():
        mostly_fractions = (numbers % 1 != 0).mean() > 0.5
        return "regression" if mostly_distinct and mostly_fractions else None
    if mostly_distinct or (n_distinct > MANY and n_distinct > n / 5):
        return None
    return "classification"
