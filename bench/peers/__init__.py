"""Slotwise and its peers side by side on one server: one small file a peer, run by a Python of its own."""
