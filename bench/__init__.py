"""Benchmarks: ratios against something measured in the same run, several runs, medians. No test calls them."""
