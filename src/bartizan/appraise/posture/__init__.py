"""The judgement of a machine's posture: rules as data, at most one function each. Pure."""
