"""The fingerprint of a frame's content, whatever the order of its rows and columns."""

import numpy as np
import polars as pl

from kept.core.digests import digest_json

_SEEDS = (20130101, 61, 4093)
_PIECE = 1_000_000


def fingerprint(frame: pl.DataFrame) -> str:
    """A digest of columns, types and rows as a multiset.

    Rows are hashed by polars with three seeds and the hashes summed modulo 2^64, so 192 bits tell contents apart.
    polars keeps its hashes for a release, not for ever: before a difference is believed across releases, hash both.
    """
    ordered = frame.select(sorted(frame.columns))
    sums = [np.uint64(0)] * len(_SEEDS)
    if ordered.width:
        for piece in ordered.iter_slices(_PIECE):
            for at, seed in enumerate(_SEEDS):
                hashes = piece.hash_rows(seed=seed).to_numpy()
                sums[at] = np.add(sums[at], hashes.sum(dtype=np.uint64), dtype=np.uint64)
    schema = {name: str(dtype) for name, dtype in ordered.schema.items()}
    return digest_json({"schema": schema, "rows": ordered.height, "sums": [str(one) for one in sums]})
