"""The subcommands, one module or package each; `holter.cli.program` lists them and imports them on demand."""
