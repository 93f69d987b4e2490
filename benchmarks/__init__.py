"""Measurements: medians and ratios against a baseline taken in the same run (`make bench`)."""
