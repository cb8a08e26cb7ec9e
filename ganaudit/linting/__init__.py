"""Lint for numbers that others measured, or that ganaudit did: known traps, each a rule with an id."""
