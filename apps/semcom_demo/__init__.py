"""Modules that the pages of the demo share: calls of semcom, uploads, labels and tooltips, parts of pages."""
