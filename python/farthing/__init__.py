"""Run quantized language models on the CPU."""
