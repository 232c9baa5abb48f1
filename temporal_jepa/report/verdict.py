"""The verdict of a report: one sentence that says whether to use the encoder, and why."""

import re
from dataclasses import dataclass

from ..files import GENERAL
from ..training.collapse import HEALTHY, UNLEARNED_LOSS
from .embeddings import Comparison
from .run import Row, Run
from .scores import chance_difference, written

UNCHANGED = 0.8  # of the nearest neighbors from which training changed little
LEVELS = ("unknown", "healthy", "weak", "collapsed")  # by severity
_LEVEL = re.compile(r"(?:^|(?<=; ))(unknown|healthy|weak|collapsed): ")
_STATISTICS = re.compile(r" \(std [^()]*\)")


@dataclass(frozen=True)
class Verdict:
    """What the report says first.

    Args:
        level: one of `LEVELS`; healthy only where the numbers favor the encoder.
        advice: what to do, the beginning of the sentence.
        reason: the rest of it, from the numbers.
        training: what training logged about itself, for those who know the terms.
        error: of predictions, as a share of the error of a guess; None if it is not known.
    """

    level: str
    advice: str
    reason: str
    training: str
    error: float | None


def find_verdict(
    run: Run,
    scores: Row | None,
    compared: Comparison | None,
    measured: float | None,
) -> Verdict:
    """The verdict on a run.

    A collapsed encoder is not to be used, whatever the scores. Then scores decide if there are any,
    then what training logged, then the labels of neighbors.

    Args:
        run: the run.
        scores: of `scores.scores_section`.
        compared: neighbors after training and those of a control.
        measured: error of predictions, as `prediction.py` measures it; None: as logged.
    """
    level, training = _of_training(run)
    logged = run.logged("relative_loss")
    error = logged[-1][1] if measured is None and logged else measured
    if scores is not None:
        parts = verdict_of_scores(scores, level, training)
    elif level == "weak" and HEALTHY in training and _is_unchanged(compared):
        parts = _unlabeled(compared, error)
    elif level != "healthy":
        parts = _of_trouble(level, training)
    elif compared is not None and compared.agreement is not None:
        parts = _of_labels(compared, compared.agreement)
    else:
        parts = _unlabeled(compared, error)
    if level == "collapsed":
        instead = f"; use {scores['best']} instead" if scores else ""
        reason = _STATISTICS.sub("", training) + instead
        parts = (level, "Do not use this encoder", reason)
    return Verdict(*parts, training, error)


def _of_training(run: Run) -> tuple[str, str]:
    """The level that training logged last, and its reasons.

    Version 0.1 could log two levels in one line ("weak: ...; healthy: ..."): the more severe one
    holds.
    """
    logged = run.logged("verdict")
    sentence = (
        logged[-1][1] if logged else "unknown: no collapse statistics were logged"
    )
    level = max(_LEVEL.findall(sentence), key=LEVELS.index, default="unknown")
    return level, _LEVEL.sub("", sentence)


def verdict_of_scores(
    scores: Row, level: str = "healthy", training: str = ""
) -> tuple[str, str, str]:
    """Level, advice and reason from scores, the first of what a report and `probe` say.

    Args:
        scores: of `scores.scores_section`.
        level: of the training.
        training: what training logged about itself.
    """
    if scores["advice"] == "none":
        return _of_chance(scores)
    if scores["advice"] in ("simpler", "few"):
        return _of_equals(scores)
    is_regression = scores["is_regression"]
    ours = written(scores["ours"], is_regression)
    best = scores["best"]
    theirs = written(scores["best_value"], is_regression)
    guess = f"guessing {written(scores['guess'], is_regression)}"
    verb = "reaches" if is_regression else "labels"
    tested = f"{scores['n_test']} test sequences"
    of = f"on {tested}" if is_regression else f"of {tested} correctly"
    if scores["advice"] == "ours":
        reason = f"it {verb} {ours} {of}, the best control, {best}, {theirs}, {guess}"
        if level != "weak":
            return "healthy", "Use this encoder", reason
        reason += f"; but training says: {_STATISTICS.sub('', training)}"
        return "weak", "Use this encoder with care", reason
    reason = f"it {verb} {theirs} {of}, this encoder {ours}, {guess}"
    return "weak", f"Use {best} instead of this encoder", reason


def _of_equals(scores: Row) -> tuple[str, str, str]:
    """A simple control may be as good as any: its score, that of the best and of this encoder."""
    is_regression = scores["is_regression"]
    simple = scores["equal"][0]
    values = {name: scores["values"][name] for name in (scores["best"], simple)}
    values["this encoder"] = scores["ours"]
    ordered = sorted(values, key=lambda name: -values[name])
    *first, last = [
        f"{name} ({written(values[name], is_regression)})" for name in ordered
    ]
    guess = f"guessing {written(scores['guess'], is_regression)}"
    count = scores["n_test"]
    apart = f"do not tell apart {', '.join(first)} and {last}, {guess}"
    if scores["advice"] == "simpler":
        reason = f"{count} test sequences {apart}"
        return "weak", f"Use {simple}, the simplest that does as well", reason
    reason = f"{count} {apart}; label more of them"
    return "unknown", "Too few test sequences to choose", reason


def _of_chance(scores: Row) -> tuple[str, str, str]:
    """No features are above guessing for sure."""
    is_regression = scores["is_regression"]
    top = max(scores["values"], key=scores["values"].__getitem__)
    value = written(scores["values"][top], is_regression)
    guess = written(scores["guess"], is_regression)
    tested = f"{scores['n_test']} test sequences"
    reached = (
        f"reaches {value} on {tested}"
        if is_regression
        else f"labels {value} of {tested} correctly"
    )
    reason = (
        f"the best of {len(scores['values'])}, {top}, {reached} and guessing {guess}, and so small "
        "a difference may be chance"
    )
    return "weak", "No features tell the labels better than guessing", reason


def _of_trouble(level: str, training: str) -> tuple[str, str, str]:
    reason = _STATISTICS.sub("", training)
    if level == "unknown":
        return level, "It is not known whether this encoder is of use", reason
    return level, "Train again before you use this encoder", reason


def _of_labels(
    compared: Comparison, agreement: dict[str, float]
) -> tuple[str, str, str]:
    after = agreement["after"]
    gain = after - agreement["control"]
    chance = chance_difference(after, compared.n)
    control = compared.control
    numbers = (
        f"{after:.0%} of the nearest neighbors have the label of a sequence, "
        f"{agreement['control']:.0%} with {control} and {agreement['chance']:.0%} by chance"
    )
    if gain > chance:
        return "healthy", "Training helped", numbers
    if -gain > chance:
        return "weak", f"Training did harm, use {control}", numbers
    return "weak", f"Training made no clear difference to {control}", numbers


def _unlabeled(
    compared: Comparison | None, error: float | None
) -> tuple[str, str, str]:
    if compared is not None and _is_unchanged(compared):
        return _unchanged(compared)
    learned = "it tells sequences apart"
    if error is not None and error > UNLEARNED_LOSS:
        reason = f"{learned}, but predicts hidden parts no better than a guess"
        return "weak", "Train longer before you use this encoder", reason
    if error is not None:
        less = f"{1 - error:.0%} less error than a guess"
        learned = f"it predicts hidden parts with {less}, and tells sequences apart"
    hope = (
        "whether it helps you is not known without labels: look at the pictures below"
    )
    if compared is None:
        return "unknown", "Training came to its end", f"{learned}; {hope}"
    same = f"{compared.unchanged:.0%} of the nearest neighbors"
    control = compared.control
    reason = f"{same} are the same with {control}, and {learned}; {hope}"
    return "unknown", "Training changed the embedding", reason


def _is_unchanged(compared: Comparison | None) -> bool:
    return compared is not None and compared.unchanged >= UNCHANGED


def _unchanged(compared: Comparison) -> tuple[str, str, str]:
    """Training left the neighbors as they were."""
    control = compared.control
    same = (
        f"{compared.unchanged:.0%} of the nearest neighbors are the same with {control}"
    )
    if control == GENERAL:
        same += " as it is, which serves as well; train longer to change them"
    else:
        same += "; train longer"
    return "weak", "Training changed little", same
