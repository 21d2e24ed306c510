"""`python -m lineshaft` is the command line."""

import sys

from lineshaft.cli import main

sys.exit(main())
