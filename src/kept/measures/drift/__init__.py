"""Drift of tables: counts of windows, compared with a reference by a mixture e-detector with a false-alarm budget."""
