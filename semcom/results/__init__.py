"""Means with confidence intervals, tables and figures from the rows of a run."""
