"""The figures of lessons, by general kinds. They are drawn with the charts of the report."""
