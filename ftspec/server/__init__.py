"""An OpenAI-compatible fine-tuning server: one ASGI app, stateless over its folder, training in worker processes."""
