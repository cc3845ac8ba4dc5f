"""For each notebook with exercises: edits of its solutions that make them wrong, and the words that must be told."""
