"""The subcommands, a module or a package each: `holter.cli.program` lists them and imports them when asked for."""
