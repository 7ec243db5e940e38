"""Gadfly finds what a vision-language model gets wrong on your own images."""

__version__ = "0.1.0"
