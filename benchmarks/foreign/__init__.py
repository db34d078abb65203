"""Foreign recommenders from their own packages, each in a process and an environment of its own (`.peers/NAME`).

Nothing here imports Penchant, and Penchant's environment holds none of these packages: `benchmarks.peers` writes the
question to a file, starts `foreign.run` with the environment's own Python, and reads the places.
"""
