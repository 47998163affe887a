"""Time series: files -> rows in time order -> windows and the targets that follow them."""
