"""Volumes: which there are and how they are, what is stored on which, and the upkeep of what lies on them."""
