"""What two audits of one plan have in common, and what no two runs share."""

from __future__ import annotations

from typing import Any

__all__ = ["steady"]

_OF_A_RUN = frozenset({"started", "seconds", "environment", "integrity"})


def steady(content: Any) -> Any:
    """Return the JSON value of a document without what two runs of one plan on one device may differ in.

    ``started``, ``seconds``, ``environment`` and ``integrity`` go wherever they stand, and every measurement and detail
    that says of itself that it is ``volatile``. Equal plan, weights, data and device give equal values of what is left.
    """
    if isinstance(content, dict):
        return {key: steady(value) for key, value in content.items() if key not in _OF_A_RUN}
    if isinstance(content, list):
        return [steady(one) for one in content if not (isinstance(one, dict) and one.get("volatile") is True)]
    return content
