"""Trained networks as files for other programs: ONNX, torch.export and JavaScript."""

from nnzoo.export.export import Exported, export_network

__all__ = ["Exported", "export_network"]
