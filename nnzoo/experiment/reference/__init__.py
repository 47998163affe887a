"""What a network has to beat: the baseline and a linear model."""
