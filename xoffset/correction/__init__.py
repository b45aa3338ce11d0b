"""What is not ground motion comes off the shifts, measured and reversible."""
