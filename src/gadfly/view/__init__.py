"""The local web app over a run: watch, search, open, label. Knows stores and images; trains and judges nothing."""
