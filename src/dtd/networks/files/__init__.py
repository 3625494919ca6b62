"""Networks kept in state dicts and ``.safetensors`` files."""
