"""Oracles: what a generated sample of a procedural set shows, read off the sample itself."""
