"""Side-by-side timings against peers and simulations of coverage; `make bench` runs the timings."""
