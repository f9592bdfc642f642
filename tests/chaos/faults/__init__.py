"""What can go wrong: each kind a coroutine that does it, and undoes it."""
