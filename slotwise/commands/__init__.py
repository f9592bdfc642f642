"""The commands of `slotwise`, by role. Each imports what it needs when it is called: so each starts quickly."""
