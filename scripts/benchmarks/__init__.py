"""What scripts/benchmark measures: a file a measurement, and below `contenders` a file a framework.

`benchmark.py` asks for the measurements, `epochs.py` lets the contenders take turns, `laps.py` is the clock in each
contender's process, `commands.py` runs and weighs whole processes, `report.py` and `plot.py` say what came out.
This process never imports torch, so that it takes nothing from those it measures.
"""
