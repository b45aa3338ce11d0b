"""What is not ground motion, found and removed, on arrays."""
