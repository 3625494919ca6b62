"""The library's face: a network and how it is explained, what goes in and what comes out."""
