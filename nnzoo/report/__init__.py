"""One self-contained HTML page about a run, and the charts it is made of."""
