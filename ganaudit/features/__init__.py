"""Extractors, which turn samples into features, and the engine that runs networks over many samples."""
