"""``python -m pgm_rnn``: the same as ``pgm-rnn``."""

from pgm_rnn.cli import main

main()
