"""Logging of runs from training code: a buffer in memory, a spool on disk, and what carries it on."""
