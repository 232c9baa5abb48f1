"""
Cars: what does a drive consist of?
===================================

A device in a car notes its place every second. Nobody writes down when the car waited at a light,
turned a corner or ran on the freeway. Here such states are found without labels, and then checked:
do they tell more than the speedometer?

The data are three drives in Denver, the sample traces of `mappymatch
<https://github.com/NREL/mappymatch>`_ (National Renewable Energy Laboratory; BSD 3-Clause).
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from public_data import open_file
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import LeaveOneGroupOut, cross_val_score

from temporal_jepa import TemporalJEPAEmbedder, read
from temporal_jepa.evaluation import find_states

WHEEL = "9f3ca2f88c9eadee41225fc31fba28c1c481018b9266fe1d0b856fecc5be7fdf"
drives = []
for trip in (1, 2, 3):
    member = f"mappymatch/resources/traces/sample_trace_{trip}.csv"
    drive = pd.read_csv(open_file("mappymatch==0.7.1", WHEEL, member))
    drives.append(drive.assign(trip=trip, second=range(len(drive))))
places = pd.concat(drives, ignore_index=True)

# %%
# From places to movement
# -----------------------
# ``read`` recognizes tracks and turns places into movement. The files hold no times. One place a
# second is an assumption; with it, the fastest parts have the speed of a freeway. For training, the
# drives are cut into windows of two minutes.

options = {"id": "trip", "time": "second", "features": "speed,acceleration,turn"}
trips = read(places, **options)
windows = read(places, window=120, stride=20, **options)
windows

# %%
# Five states
# -----------
# For single moments of a recording, the documentation recommends an encoder that learns to predict
# what comes next. It trains for some seconds. ``find_states`` then groups moments of about ten
# seconds that look alike to it. Here the states are numbered by their speed.

jepa = TemporalJEPAEmbedder(objective="next", patch_len=2, steps=200, random_state=0)
states = find_states(jepa.fit(windows).model_, trips, count=5)
seconds = pd.DataFrame(
    np.concatenate(trips.values), columns=trips.channels, dtype=float
)
seconds["turn"] = seconds.turn.abs()
found = np.concatenate(states.timesteps)
rank = seconds.speed.groupby(found).mean().rank().astype(int)
seconds["state"] = rank[found].to_numpy()
seconds.groupby("state").agg(["mean", "std"]).round(2)

# %%
# Speeds are in meters a second, turns in radians a second. In the slowest state the car stands. In
# the next one it stops, starts and turns corners: there its speed changes most. Then come slow
# streets, fast streets and the freeway. The names are ours; the encoder gives numbers.

colors = ListedColormap(["black", "tab:red", "tab:orange", "tab:green", "tab:blue"])
look = {"cmap": colors, "vmin": 0.5, "vmax": 5.5, "s": 7}
names = ["stands", "stops, starts", "slow street", "fast street", "freeway"]
fig, axes = plt.subplots(1, 3, figsize=(9, 6), layout="constrained")
for ax, (trip, drive) in zip(axes, places.groupby("trip"), strict=True):
    own = seconds.state[drive.index]
    dots = ax.scatter(drive.longitude, drive.latitude, c=own, **look)
    ax.set_aspect(1 / np.cos(np.radians(39.7)))
    ax.set_title(f"trip {trip}, {len(drive) // 60} minutes")
    ax.set_axis_off()
bar = fig.colorbar(dots, ax=axes, location="bottom", ticks=range(1, 6))
bar.set_ticklabels(names)

# %%
# The first drive over time:

first = seconds[places.trip == 1]
fig, ax = plt.subplots(figsize=(9, 3))
ax.scatter(first.index / 60, first.speed, c=first.state, **look)
ax.set(xlabel="minutes", ylabel="speed, meters a second")
fig.tight_layout()

# %%
# Do the states tell more than the speed?
# ---------------------------------------
# A state that means something says what comes next. How well does it tell the speed half a minute
# and a minute later, on a drive that the rule was not fitted on (R2: 1 is perfect, 0 no better than
# a constant)? One could also use the speed, or k-means of speed and turn, or of their averages over
# the same ten seconds.

kmeans = KMeans(5, n_init=10, random_state=0)
values = (seconds[["speed", "turn"]] / seconds[["speed", "turn"]].std()).fillna(0)
around = values.groupby(places.trip).rolling(10, center=True, min_periods=1).mean()
ways = {
    "speed": values[["speed"]],
    "k-means of speed and turn": pd.get_dummies(kmeans.fit_predict(values)),
    "k-means of averages": pd.get_dummies(kmeans.fit_predict(around)),
    "states": pd.get_dummies(seconds.state),
}
scores = pd.DataFrame(index=ways)
for later in (30, 60):
    goal = seconds.speed.groupby(places.trip).shift(-later).dropna()
    split = {"groups": places.trip[goal.index], "cv": LeaveOneGroupOut()}
    for name, known in ways.items():
        r2 = cross_val_score(LinearRegression(), known.loc[goal.index], goal, **split)
        scores.loc[name, f"{later} seconds later"] = r2.mean()
scores.round(2)

# %%
# The states tell more than the speed, and about as much as k-means of averages. For speed and turn
# alone, use k-means of averages: it needs no training. An encoder is worth a try where a recording
# has many channels, so that nobody knows which averages to take.
