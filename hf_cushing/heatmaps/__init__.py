"""Where a network looks: heatmap methods, on pixels and weights alone."""
