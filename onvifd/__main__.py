"""`python -m onvifd` is `onvifd`."""

from onvifd.cli.main import main

main()
