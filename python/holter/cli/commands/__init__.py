"""The subcommands, one file each: `holter.cli.program` says which there are and imports them when asked for."""
