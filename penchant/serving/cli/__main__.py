"""`python -m penchant.serving.cli` is `penchant`."""

from penchant.serving.cli import main

if __name__ == "__main__":  # a process that is spawned from here imports this file again
    main()
