"""Programs played by guests and peers that consist of a library and a few lines around it."""
