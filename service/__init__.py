"""The HTTP front end: requests in, `slotwise.store` out. It holds no state and never imports user code."""
