"""Readers: scenes in, a stack (time, y, x) out; one module a kind of source."""
