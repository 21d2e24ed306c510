"""What an engineer types. `lineshaft --help` says the rest.

Exit codes: 0 done; 1 it failed, see the message; 2 the configuration or the command is
wrong; 130 stopped with Ctrl-C.
"""

import sys


def main() -> int:
    """Run the command line; return the exit code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        # Everything else takes longer to import than this takes to say.
        from importlib.metadata import version

        sys.stdout.write(f"lineshaft {version('lineshaft')}\n")
        return 0
    from lineshaft.cli.verbs import execute

    return execute(sys.argv[1:])
