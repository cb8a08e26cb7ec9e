"""Lazy, memoised nodes that every evaluator shares, and the content-addressed store that keeps them."""
