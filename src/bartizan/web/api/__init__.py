"""The API: CBOR for agents, JSON for everybody else."""
