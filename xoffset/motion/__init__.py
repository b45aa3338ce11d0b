"""From displacement to velocity and everything else that is asked of it."""
