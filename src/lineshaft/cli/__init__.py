"""What an engineer types. `lineshaft --help` says the rest.

Exit codes: 0 done; 1 it failed, see the message; 2 the configuration or the command is
wrong; 130 stopped with Ctrl-C.
"""

import os
import sys


def main() -> int:
    """Run the command line; return the exit code."""
    arguments = sys.argv[1:]
    if arguments in (["--version"], ["-V"]):
        # Everything else takes longer to import than this takes to say.
        from importlib.metadata import version

        sys.stdout.write(f"lineshaft {version('lineshaft')}\n")
        return 0
    if len(arguments) == 2 and arguments[0] == "complete-names":  # noqa: PLR2004  a word
        # As the completion scripts ask, while someone waits at a key.
        from pathlib import Path

        from lineshaft.cli.completing import names

        data = Path(os.environ.get("LINESHAFT_DATA", "lineshaft-data"))
        sys.stdout.writelines(f"{name}\n" for name in names(data, arguments[1]))
        return 0
    from lineshaft.cli.verbs import execute

    return execute(arguments)
