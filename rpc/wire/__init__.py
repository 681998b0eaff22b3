"""What travels: XDR, frames, errors, typed parameters and program tables. No I/O happens here."""
