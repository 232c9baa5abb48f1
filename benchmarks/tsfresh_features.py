"""The features of tsfresh, for `classify.py`: --embedders tsfresh_features:Comprehensive.

Needs tsfresh, which is in no extra: install it into an environment of its own.
Nothing is selected by labels, as for the other embedders. A feature that is not a finite number in
every series of TRAIN is left out; one that is not in a series of TEST is the median of TRAIN there.
"""

from typing import Any

import numpy as np
import pandas as pd
from tsfresh import extract_features
from tsfresh.feature_extraction import ComprehensiveFCParameters


class Comprehensive:
    """All features of tsfresh, its default, in one process."""

    def fit(self, X: Any) -> "Comprehensive":
        table = self._extract(X)
        self._columns = table.columns[np.isfinite(table).all()]
        self._medians = table[self._columns].median()
        return self

    def transform(self, X: Any) -> np.ndarray:
        table = self._extract(X).reindex(columns=self._columns)
        table = table.where(np.isfinite(table))
        return table.fillna(self._medians).to_numpy(np.float64)

    def _extract(self, X: Any) -> pd.DataFrame:
        """A row for each series `(channels, time)`, in order."""
        parts = []
        for number, series in enumerate(X):
            part = pd.DataFrame(np.asarray(series, np.float64).T).add_prefix("channel")
            parts.append(part.assign(series=number, timestep=np.arange(len(part))))
        table = extract_features(
            pd.concat(parts),
            column_id="series",
            column_sort="timestep",
            default_fc_parameters=ComprehensiveFCParameters(),
            n_jobs=0,
            disable_progressbar=True,
        )
        return table.sort_index().astype(np.float64)
