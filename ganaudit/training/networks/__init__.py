"""Networks that can be trained: pairs of a generator and a discriminator, one file for each.

All keep to the interface that ``layers`` describes; ``cost`` counts their parameters and operations.
"""

from ganaudit.training.networks.residual import ResidualDiscriminator, ResidualGenerator

__all__ = ["ResidualDiscriminator", "ResidualGenerator"]
