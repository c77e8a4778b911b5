"""Live capture: packets as they come, and which programs they belong to."""
