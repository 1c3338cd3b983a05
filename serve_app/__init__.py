"""The map of the house is written last."""
