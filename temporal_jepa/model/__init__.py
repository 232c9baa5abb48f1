"""Masks, encoder, predictor, losses and EMA; torch only, no data."""
