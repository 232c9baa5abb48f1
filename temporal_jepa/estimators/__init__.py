"""scikit-learn estimators; those for aeon are in `temporal_jepa.estimators.aeon`."""

from .anomaly import AnomalyDetector as AnomalyDetector
from .classifier import TemporalJEPAClassifier as TemporalJEPAClassifier
from .classifier import TemporalJEPARegressor as TemporalJEPARegressor
from .classifier import finetune as finetune
from .clusterer import TemporalJEPAClusterer as TemporalJEPAClusterer
from .embedder import TemporalJEPAEmbedder as TemporalJEPAEmbedder
