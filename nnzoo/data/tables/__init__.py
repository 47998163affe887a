"""Tables: files -> cells -> columns, with types inferred from the training rows -> features."""
