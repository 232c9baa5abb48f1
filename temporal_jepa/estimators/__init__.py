"""scikit-learn and aeon estimators."""
