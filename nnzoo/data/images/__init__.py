"""Images: each file is decoded once to uint8 pixels, which each batch converts to float32."""

from nnzoo.data.images.folder import load_image_folder
from nnzoo.data.images.image_reader import ImageReader
from nnzoo.data.images.torchvision_sets import load_torchvision_set

__all__ = ["ImageReader", "load_image_folder", "load_torchvision_set"]
