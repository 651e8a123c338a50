"""`make demo`: a broker, a worker that is killed in the middle, fifty devices, a subscriber; then the books."""
