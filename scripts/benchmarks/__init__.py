"""The measurements of scripts/benchmark: one file per measurement, and one file per framework in `contenders`.

`epochs.py` lets the contenders take turns, `laps.py` measures the time in the process of a contender, `commands.py`
measures entire processes, `report.py` and `plot.py` write the results. The driver never imports torch, so that it
takes no memory or cores from the processes that it measures.
"""
