"""Pure statistics on numpy arrays: no state, no clock, no input or output."""
