"""Use cases: the only place that joins the steps."""
