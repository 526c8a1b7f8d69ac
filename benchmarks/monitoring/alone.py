"""Imported before numpy: what Kept, the peers and all their children run under."""

import os

# A thread of its own for each product of matrices would count as CPU that does nothing.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
# Two of the peers would tell their makers of each use.
os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
os.environ["WHYLOGS_NO_ANALYTICS"] = "True"
