"""The worker: slots, processes, user code. Imports `slotwise`, never `service`."""
