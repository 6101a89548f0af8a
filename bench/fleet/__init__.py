"""A fleet in one process: tens of thousands of software attesters that speak the true protocol with recorded logs."""
