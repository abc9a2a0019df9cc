"""Images as samples of a radio, and back: shared configuration, recordings, encoding and decoding."""
