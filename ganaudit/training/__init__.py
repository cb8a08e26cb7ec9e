"""Trains GANs and leaves subject directories; it never meets an evaluator."""
