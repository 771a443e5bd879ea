"""Networks: backbones, heads, features, scores."""
