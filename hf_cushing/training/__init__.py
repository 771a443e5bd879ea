"""Fine-tuning on `transformers.Trainer` and accelerate."""
