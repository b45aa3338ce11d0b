"""Other systems' files and tables: reader and writer of each side by side, since they share names, signs and units."""
