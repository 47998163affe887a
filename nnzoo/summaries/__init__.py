"""Summarizes the layers, parameters, neurons and FLOPs of a network, which is not changed.

collect   one forward pass of a copy: the calls of its modules with their shapes
compute   the rows of the table, the neurons            notes   the notes below the table
render    torchsummary's own table                      summary the public names: `summarize` and `Summary`
"""

from nnzoo.summaries.compute import LayerRow
from nnzoo.summaries.summary import Summary, summarize

__all__ = ["LayerRow", "Summary", "summarize"]
