"""The posture of this machine: what its files say of confinement and acceleration. It reads; it judges nothing."""
