"""Images: each file is decoded once to uint8 pixels, which each batch converts to float32."""
