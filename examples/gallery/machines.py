"""
Machines: which appliances behave alike?
========================================

Sockets measured what was plugged into them. Which recordings belong together, what is typical of
each group, and which one does not fit?

The data are ACSF1 (Gisler et al., 2013), household appliances of ten kinds, as aeon ships them. The
file has numbers in place of the names of the kinds.
"""

import importlib.util
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_mutual_info_score

from temporal_jepa import Sequences, from_pretrained, read
from temporal_jepa.embed import embed_sequences
from temporal_jepa.evaluation import score
from temporal_jepa.evaluation.neighbors import standardize
from temporal_jepa.evaluation.probes import stat_features

aeon = Path(importlib.util.find_spec("aeon").origin).parent  # aeon is not imported
folder = aeon / "datasets" / "data" / "ACSF1"
train, test = (read(folder / f"ACSF1_{part}.ts") for part in ("TRAIN", "TEST"))
print(train)
print("the first ten values:", train.values[0][:10, 0].round(2))

# %%
# Look at the data first
# ----------------------
# The values repeat every four steps: four measurements take turns in one series. Here they become
# four channels. One of them is nearly constant, as the voltage of a socket is.


def side_by_side(data):
    """One channel for each measurement."""
    return Sequences([x.reshape(-1, 4) for x in data.values], labels=data.labels)


train, test = side_by_side(train), side_by_side(test)
fig, axes = plt.subplots(2, 5, figsize=(9, 3.6), sharex=True, layout="constrained")
for name, ax in zip(np.unique(train.labels), axes.flat, strict=True):
    ax.plot(train.values[np.flatnonzero(train.labels == name)[0]], linewidth=0.8)
    ax.set(title=f"kind {name}", yticks=[])
fig.suptitle("One recording of each kind, four measurements")

# %%
# A map of all recordings
# -----------------------
# Recordings with similar embeddings lie close together. Labels are used for the colors only. The
# control is a map of mean, deviation, minimum and maximum of each measurement.

model = from_pretrained("series-small")
recordings = Sequences(train.values + test.values)
kind = np.concatenate([train.labels, test.labels])
features = {
    "series-small": embed_sequences(model, recordings, dim=128),
    "mean/std/min/max": standardize(stat_features(recordings.values)),
}
groups = {}
fig, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for ax, (name, Z) in zip(axes, features.items(), strict=True):
    x, y = PCA(2, random_state=0).fit_transform(Z).T
    points = ax.scatter(x, y, c=kind.astype(int), cmap="tab10", s=14)
    ax.set(title=name, xticks=[], yticks=[])
    groups[name] = KMeans(10, n_init=10, random_state=0).fit(Z)
    agreement = adjusted_mutual_info_score(kind, groups[name].labels_)
    print(f"ten groups of {name}: agreement with the kinds {agreement:.2f} of 1")
fig.legend(*points.legend_elements(), title="kind", loc="outside right center")

# %%
# Typical and odd
# ---------------
# The five largest groups of the embedding: the typical recording of a group is nearest to its
# center, the odd one is farthest from it.

found = groups["series-small"]
distance = found.transform(features["series-small"]).min(1)
fig, axes = plt.subplots(2, 5, figsize=(9, 3.6), sharex=True, layout="constrained")
for column, group in zip(
    axes.T, np.bincount(found.labels_).argsort()[:-6:-1], strict=True
):
    members = np.flatnonzero(found.labels_ == group)
    ends = members[distance[members].argmin()], members[distance[members].argmax()]
    for ax, k, name in zip(column, ends, ("typical", "odd"), strict=True):
        ax.plot(recordings.values[k], linewidth=0.8)
        ax.set(title=f"{name}, kind {kind[k]}", yticks=[])

# %%
# If the kinds of some are known
# ------------------------------
# The same classifier learns the kinds of one half and is asked about the other.

scores = pd.DataFrame(score(model, train, test)["scores"])
scores[["features", "accuracy"]].round(2)

# %%
# What to do with it: to group appliances, use the statistics. How much a machine takes tells its
# kind, and the compact embedding leaves levels out: it puts together what switches alike. To name
# the kinds, use MiniRocket. The embedding is second there, well above statistics.
