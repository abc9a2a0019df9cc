"""One paper, one file: a file or folder here that has a `build(...)` is a system that scenarios can name."""
