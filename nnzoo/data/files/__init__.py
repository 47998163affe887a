"""Files: finding them, reading their bytes and text, and counting what was repaired."""
