"""Renders audit documents: HTML to sign, Markdown and JUnit for CI. Pure and torch-free; reads only the document."""

from __future__ import annotations
