"""Recognition of modulations: learned recognizers and their training, recordings, and the recognition task."""
