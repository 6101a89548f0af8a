"""`python -m bartizan` is the command line."""

from bartizan.cli.main import main

main()
