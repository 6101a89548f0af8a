"""The main job, live: emulated machines with real TPM chips in software, recorded boots, and the attacks on them."""
