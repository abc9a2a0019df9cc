"""Systems, one paper per file or folder: each one with a function `build(...)` is a system that scenarios can name."""
