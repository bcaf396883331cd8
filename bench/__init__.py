"""Measurements: figures on real mail (``evaluate``) and performance as ratios and counts (``python -m bench``)."""
