"""Speed against peers: ``python -m benchmarks`` measures ratios, and aborts where two ways do not agree."""
