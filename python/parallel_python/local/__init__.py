"""The notebook's own Python process."""
