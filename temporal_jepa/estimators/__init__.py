"""scikit-learn estimators; those for aeon are in `temporal_jepa.estimators.aeon`."""

from .classifier import TemporalJEPAClassifier as TemporalJEPAClassifier
from .classifier import TemporalJEPARegressor as TemporalJEPARegressor
from .classifier import finetune as finetune
from .embedder import TemporalJEPAEmbedder as TemporalJEPAEmbedder
