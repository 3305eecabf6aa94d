"""What outsiders may rely on at each seam, whichever side of it stands behind."""
