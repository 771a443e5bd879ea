"""Finding, measuring and aligning faces with dlib."""
