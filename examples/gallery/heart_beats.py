"""
Heart beats: where does a pulse look wrong?
===========================================

Nobody can describe every way in which a heart beat may look wrong. A recording of normal beats is
easy to have. The detector learns what the beginning of a recording looks like and then says, moment
by moment, how unusual the rest is.

The recording is arterial blood pressure, number 135 of the UCR anomaly archive (`Wu and Keogh, 2021
<https://arxiv.org/abs/2009.13807>`_), as aeon ships it. It has a beginning that is known to be
normal, and after it one anomaly whose place is known. The place is used to check the result, not to
find it.
"""

import importlib.util
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from temporal_jepa.estimators import AnomalyDetector

aeon = Path(importlib.util.find_spec("aeon").origin).parent  # aeon is not imported
folder = aeon / "datasets" / "data" / "KDD-TSAD_135"
name = "135_UCR_Anomaly_InternalBleeding16"
normal = pd.read_csv(folder / f"{name}_TRAIN.csv").value.to_numpy()
recording = pd.read_csv(folder / f"{name}_TEST.csv")
pressure = recording.value.to_numpy()
true = np.flatnonzero(recording.is_anomaly)
print(len(normal), "normal moments,", len(pressure) - len(normal), "to search")

fig, ax = plt.subplots(figsize=(9, 2.8))
ax.plot(pressure, linewidth=0.8, color="tab:gray")
ax.axvspan(0, len(normal), color="tab:green", alpha=0.15, label="known to be normal")
ax.legend(loc="upper right", bbox_to_anchor=(1, 1.2))
ax.set(xlabel="moment", ylabel="pressure")
fig.tight_layout()

# %%
# The beats grow and shrink all the time, so no limit of the pressure finds the anomaly.
#
# Fit on the beginning, score the rest
# ------------------------------------
# Nothing is trained: ``series-small`` embeds windows of the recording, and a window scores high if
# its nearest windows of the normal part are far away. A score above 1 is higher than almost
# everything in the normal part.

detector = AnomalyDetector().fit(normal)
score = detector.score(pressure)
print("a window has", detector.window_, "moments")
print("the score peaks at", score.argmax(), "with", score.max().round(1))
print("the label says", true[0], "to", true[-1])

fig, axes = plt.subplots(2, 1, figsize=(9, 5))
axes[0].plot(score, color="tab:blue")
axes[0].axhline(1, color="black", linewidth=0.8, linestyle="--")
axes[0].set(xlabel="moment", ylabel="anomaly score")
near = np.arange(max(score.argmax() - 500, 0), min(score.argmax() + 500, len(score)))
axes[1].plot(near, pressure[near], color="tab:gray")
axes[1].axvspan(true[0], true[-1], color="tab:red", alpha=0.3, label="label")
axes[1].axvline(score.argmax(), color="tab:blue", label="highest score")
axes[1].legend(loc="upper right")
axes[1].set(xlabel="moment, around the highest score", ylabel="pressure")
fig.tight_layout()

# %%
# The score stands far above everything else at one place, where the label is: in one beat the
# pressure shakes on its way down. The peak is wider than the anomaly because every window that
# touches it scores high.

# %%
# What one would use instead
# --------------------------
# Three simple scores with windows of the same length: how much a window varies, compared with the
# normal part; the distance of its values to the nearest normal window; and the distance of its
# shape (its values at mean 0 and deviation 1), as in a matrix profile. A score is right if its peak
# lies less than a window from the label.

windows = np.lib.stride_tricks.sliding_window_view(pressure, detector.window_)
shapes = windows - windows.mean(1, keepdims=True)
shapes = shapes / windows.std(1, keepdims=True)
known = len(normal) - detector.window_ + 1  # windows that lie in the normal part
later = np.arange(len(normal), len(windows), 2)


def nearest(rows):
    """Distance of each later row to the nearest normal one."""
    squares = (rows[later] ** 2).sum(1)[:, None] + (rows[:known] ** 2).sum(1)
    return np.sqrt(np.maximum(squares - 2 * rows[later] @ rows[:known].T, 0).min(1))


deviation = windows.std(1)
scores = {
    "how much values vary": np.abs(deviation[later] - deviation[:known].mean()),
    "distance of values": nearest(windows),
    "distance of shapes": nearest(shapes),
}
peaks = {name: later[s.argmax()] + detector.window_ // 2 for name, s in scores.items()}
peaks["AnomalyDetector"] = score.argmax()
table = pd.DataFrame({"peak": peaks})
table["right"] = (table.peak - true.mean()).abs() < detector.window_
table

# %%
# What to do with it: the detector and the distance of shapes find the anomaly. The others are led
# astray by beats that are larger or smaller than the known ones. For one clean channel with regular
# beats, the distance of shapes is enough. The detector compares shapes and values at once, takes
# several channels and gaps, and needs no threshold. This is no proof: the detector was developed
# with this recording among others. ``benchmarks/anomaly.py`` compares on many.
