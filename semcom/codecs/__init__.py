"""Source codecs: image files, label maps, mask positions, files in messages."""
