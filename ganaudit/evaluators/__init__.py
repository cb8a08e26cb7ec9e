"""The evaluators that come with ganaudit, one question per file; siblings never import each other."""
