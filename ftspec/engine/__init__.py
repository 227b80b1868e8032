"""The embedded trainer: a small language model in numpy that really trains, one thread, bit for bit repeatable.

`tokenizer`, `template`, `counter`, `plan`, `rows`, `bases`, `environment`, `job` and `launch` import without numpy;
everything else runs in worker processes (`python -m ftspec.engine.worker`, `python -m ftspec.engine.generator`).
"""
