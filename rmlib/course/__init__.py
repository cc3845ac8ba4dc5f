"""What only the notebooks need: figures, widgets, exercises."""
