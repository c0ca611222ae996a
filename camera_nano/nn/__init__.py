"""The model in torch: the reference, and what training works on. Nothing outside `engines/torch.py` imports it."""
