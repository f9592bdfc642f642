"""The algorithms that ship."""

from worker.algorithms.burn import burn
from worker.algorithms.prime_checker import check_prime
from worker.algorithms.sleep import sleep

__all__ = ["burn", "check_prime", "sleep"]
