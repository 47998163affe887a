"""What a net is made of: its layers, parameters, neurons and FLOPs, without touching it.

collect   one forward pass of a copy: which module was called, on what, with what result
compute   the rows of the table, the neurons            notes   what a reader should know besides
render    torchsummary's own table                      summary the door: `summarize` and `Summary`
"""

from nnzoo.summaries.compute import LayerRow
from nnzoo.summaries.summary import Summary, summarize

__all__ = ["LayerRow", "Summary", "summarize"]
