"""What a file or folder is, before anything is done with it."""
