"""Audits as runs of experiment trackers: what is logged, and one file for each tracker."""

from __future__ import annotations
