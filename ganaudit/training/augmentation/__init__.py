"""Augmentation on the device, twice differentiable: of the data, or of all that the discriminator sees."""

from ganaudit.training.augmentation.controller import Signs, adjusted, counted
from ganaudit.training.augmentation.operations import OPERATIONS, Operation
from ganaudit.training.augmentation.pipeline import Pipeline

__all__ = ["OPERATIONS", "Operation", "Pipeline", "Signs", "adjusted", "counted"]
