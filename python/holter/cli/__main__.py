"""`python -m holter.cli`: the `holter` command where its script is not on the path."""

from holter.cli.program import main

if __name__ == "__main__":
    main(prog_name="holter")
