"""A pipeline of aeon in which the line of MiniRocket was replaced."""

from aeon.datasets import load_basic_motions
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline

from temporal_jepa import TemporalJEPAEmbedder

X, y = load_basic_motions(split="train")
X_test, y_test = load_basic_motions(split="test")
features = TemporalJEPAEmbedder.from_pretrained("series-small")  # was MiniRocket()
pipeline = make_pipeline(features, RidgeClassifierCV())
print(pipeline.fit(X, y).score(X_test, y_test))
