"""The application: settings, the answer service, the background indexer, the command line and the page."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - before anything is imported that an older one fails at in its own words
    sys.exit(f"error: Python 3.11 or newer is needed; this is {sys.version_info[0]}.{sys.version_info[1]}.")
