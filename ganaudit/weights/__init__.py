"""The files that extractors are made of: which there are, where they lie, and whether they are what they should be."""
