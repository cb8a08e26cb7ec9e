"""The torch-free vocabulary: the audit document, gates, judgement, errors and schemas."""
