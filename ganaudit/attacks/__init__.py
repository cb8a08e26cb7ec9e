"""Attacks on a scalar critic: each returns changed samples, and the caller clips them and tests them again.

The loss of every attack is the raw margin. Steps depend on the direction of a gradient, never on its size, so that a
critic's unit and zero change nothing.
"""
