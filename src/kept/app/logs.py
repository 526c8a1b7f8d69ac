"""Logging of the long-running processes: lines for a file."""

import logging
import sys
import time


def log_plainly() -> None:
    """Lets what Kept logs go to the standard output, a line each with time and place.

    No colours, and tracebacks without the values of variables, which may be secrets. Libraries stay as they are: some
    log addresses, which may hold secrets, too.
    """
    form = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    form.converter = time.gmtime
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(form)
    logger = logging.getLogger("kept")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(logging.INFO)
