"""
Exercises: what does the watch feel?
====================================

Ten people did seven shoulder exercises with a watch on the wrist, first with one arm, then with the
other. Can a computer tell the exercise of a person whom it has never seen? And can it see without
any label when one exercise ends and the next begins?

The data are acceleration and rotation from a study of physiotherapy (`Burns et al., 2018
<https://arxiv.org/abs/1802.01489>`_), as seglearn ships them (BSD license): pendulum (PEN), raising
the arm to the side (ABD) or front (FEL), turning it in (IR) or out (ER), rowing (TRAP, ROW).
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from public_data import open_file
from sklearn.cluster import KMeans
from sklearn.linear_model import RidgeClassifierCV
from sklearn.metrics import ConfusionMatrixDisplay, adjusted_mutual_info_score, f1_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from temporal_jepa import Sequences, TemporalJEPAEmbedder
from temporal_jepa.evaluation import find_states
from temporal_jepa.evaluation.probes import minirocket_features, stat_features
from temporal_jepa.model.jepa import random_init_like

# Reading a pickle can run code: the hash makes sure that it is the file that was looked at.
file = open_file(
    "seglearn==1.2.5",
    "ec6b952c85c9627050102854b372d85951563d3b990df677d7c55547e87413dd",
    "seglearn/data/watch_dataset.npy",
)
data = np.load(file, allow_pickle=True).item()
exercise = np.array(data["y_labels"])[data["y"]]
person = data["subject"]
recordings = [x[::2] for x in data["X"]]  # (time_i, 6), 25 moments a second
lengths = np.array([len(x) for x in recordings])
print(len(recordings), "recordings of", len(np.unique(person)), "people")

# %%
# A person whom it has never seen
# -------------------------------
# The embedder takes recordings of unequal length as they are. It is frozen: it learns nothing from
# them, so it may embed all before people are divided. In each of five rounds the classifier learns
# from eight people and is asked about two others.

embedder = TemporalJEPAEmbedder.from_pretrained("series-small")
features = {
    "series-small": embedder.transform([x.T for x in recordings]),
    "mean/std/min/max": stat_features(recordings),
    "MiniRocket": minirocket_features(recordings, recordings[:1])[0],
}
classifier = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-3, 5, 9)))
rounds = {"cv": GroupKFold(5), "groups": person}  # no person on both sides
fig, axes = plt.subplots(1, 3, figsize=(9, 3.6), sharey=True, layout="constrained")
for ax, (name, Z) in zip(axes, features.items(), strict=True):
    told = cross_val_predict(classifier, Z, exercise, **rounds)
    show = {"ax": ax, "cmap": "Blues", "colorbar": False, "xticks_rotation": 45}
    ConfusionMatrixDisplay.from_predictions(exercise, told, **show)
    print(f"{name:16} macro F1 {f1_score(exercise, told, average='macro'):.2f}")
    ax.set(title=name, xlabel="told", ylabel="done" if ax is axes[0] else "")

# %%
# MiniRocket is a little ahead of the embedding, statistics are a little behind. All mix up what is
# alike: raising the arm to the side or the front, turning it in or out.
#
# Without labels: when does the next one begin?
# ---------------------------------------------
# The exercises of one arm are put one after the other into a long recording. ``find_states`` finds
# seven states in these and is told nothing about exercises. The controls are the same with random
# weights, and k-means on the mean and deviation of windows of two seconds, about one repetition.

arm = 2 * person + data["side"]
parts = [np.flatnonzero(arm == a) for a in np.unique(arm)]
sessions = [np.concatenate([recordings[k] for k in part]) for part in parts]
order = np.concatenate(parts)
rows = {"done": np.repeat(data["y"][order], lengths[order])}
models = {"states": embedder.model_, "untrained": random_init_like(embedder.model_, 0)}
for name, model in models.items():
    states = find_states(model, Sequences(sessions), count=7)
    rows[name] = np.concatenate(states.timesteps)
windows = [pd.DataFrame(x).rolling(50, 2, center=True) for x in sessions]
values = np.concatenate([np.hstack([w.mean(), w.std()]) for w in windows])
kmeans = make_pipeline(StandardScaler(), KMeans(7, n_init=5, random_state=0))
rows["k-means"] = kmeans.fit_predict(values)
for name, row in rows.items():
    agreement = adjusted_mutual_info_score(rows["done"], row)
    print(f"{name:10} agreement {agreement:.2f}, changes {(np.diff(row) != 0).sum()}")

# %%
# 0 is no more agreement than chance, 1 is complete. The first recording (colors are only names):

layout = {"height_ratios": [4, 1, 1, 1, 1], "sharex": True}
fig, axes = plt.subplots(5, 1, figsize=(9, 4), **layout)
axes[0].plot(sessions[0][:, :3], linewidth=0.4)
axes[0].set_title("Acceleration of one arm, exercises, and states")
for ax, (name, row) in zip(axes[1:], rows.items(), strict=True):
    ax.imshow([row[: len(sessions[0])]], cmap="Set2", vmin=0, vmax=7, aspect="auto")
    ax.set_yticks([])
    ax.set_ylabel(name, rotation=0, ha="right", va="center")
axes[-1].set_xlabel("moment (25 a second)")
fig.tight_layout()

# %%
# What to do with it: with labels of several people, use MiniRocket. Without labels, the states are
# a little closer to the exercises than k-means and change less often. Random weights do nearly as
# well here: the gain is in how states are found, not in the training.
