"""From a judged audit to a decision: comments and signatures of reviewers, bound to the digests of what they saw."""
