"""A view of given features, for evaluators that read nothing else."""

import numpy as np
import torch

from ganaudit.numerics.world import ALONE


class MadeUp:
    """A view of given features."""

    null_rule = "a made-up null"
    world = ALONE

    def __init__(self, **nodes):
        self.nodes = {f"features/{side.replace('_', '-')}": features for side, features in nodes.items()}

    def missing(self, node):
        return None if node in self.nodes else "not there"

    def __getitem__(self, node):
        return self.nodes[node]


def sampled(n, d, seed, shift=0.0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)) + shift)


def by_key(found):
    return {m.key: m for m in found.measurements}
