"""What the pages of the demo share: calls of semcom, uploads, words, and pieces of pages."""
