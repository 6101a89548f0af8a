"""SELinux's own analysis library, run by the system's Python in a process of its own."""
