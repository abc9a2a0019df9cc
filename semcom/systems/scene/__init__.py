"""Scenes as label maps: segment, send the map losslessly, restore a street with a generative network."""
