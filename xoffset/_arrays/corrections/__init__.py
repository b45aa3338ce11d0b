"""Errors of whole images and of sensors, fitted to displacements of stable ground."""
