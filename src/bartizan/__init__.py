"""Bartizan: how far each machine and workload of a telecom cloud can be trusted, proved by hardware evidence."""
