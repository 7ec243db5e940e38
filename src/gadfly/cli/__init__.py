"""The command line: parse, call, print. Computes nothing."""
