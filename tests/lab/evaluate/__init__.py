"""How well classes and kinds are told: captures with known answers, refitted thresholds, matrices, the page."""
