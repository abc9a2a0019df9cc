"""Mapping of features and text to channel symbols or coded bits, and back."""
