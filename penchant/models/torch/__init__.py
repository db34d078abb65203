"""Models as they are trained, with torch. Imported by `learning` alone; what is served is their ONNX export."""
