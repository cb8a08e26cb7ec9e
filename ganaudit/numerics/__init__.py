"""The mathematics of an audit: pure functions from tensors to numbers, without files, configuration or hidden chance.

Arrays come in the order (real, fake); reductions run in float64; whatever is random is an argument. Axes: N samples
(M of the fake side), D features, C classes, K neighbours.
"""
